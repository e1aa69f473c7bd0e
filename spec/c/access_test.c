/* The access log: the line of each format, hostile text, collecting and
 * flushing, rotation, and files that fail. */
#include "http/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "test.h"

static char folder[] = "/tmp/luaserve-access-XXXXXX";
static char path[64], moved[64];
static char text[1 << 20];

/* What the file holds, until the next call. */
static struct str contents(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    return (struct str){text, n < 0 ? 0 : (size_t)n};
}

/* 2026-11-22T12:00:00Z */
enum { NOON = 1795348800 };

/* What the common format makes of make_entry. */
#define LINE                                                                   \
    "127.0.0.1 - - [22/Nov/2026:12:00:00 +0000] "                              \
    "\"GET /a?b=c HTTP/1.1\" 200 5\n"

static struct access_entry make_entry(void)
{
    return (struct access_entry){.remote = STR("127.0.0.1"),
                                 .method = STR("GET"),
                                 .target = STR("/a?b=c"),
                                 .referer = STR("http://x/"),
                                 .user_agent = STR("curl/7.88.1"),
                                 .bytes = 5,
                                 .duration = 0.000123,
                                 .time = NOON,
                                 .version = 11,
                                 .status = 200};
}

static void start(enum access_format format)
{
    unlink(path);
    unlink(moved);
    CHECK_INT(access_open(path, format), 0);
}

/* The line of entry in that format, valid until the next call. */
static struct str line_of(const struct access_entry *entry,
                          enum access_format format)
{
    struct str all;

    start(format);
    access_write(entry);
    access_close();
    all = contents(path);
    CHECK(all.n > 0 && all.p[all.n - 1] == '\n');
    return str_cut(&all, '\n');
}

static void writes_the_common_format(void)
{
    struct access_entry entry = make_entry();

    CHECK_STR(line_of(&entry, ACCESS_COMMON),
              "127.0.0.1 - - [22/Nov/2026:12:00:00 +0000] "
              "\"GET /a?b=c HTTP/1.1\" 200 5");
}

static void writes_the_combined_format(void)
{
    struct access_entry entry = make_entry();

    CHECK_STR(line_of(&entry, ACCESS_COMBINED),
              "127.0.0.1 - - [22/Nov/2026:12:00:00 +0000] "
              "\"GET /a?b=c HTTP/1.1\" 200 5 \"http://x/\" \"curl/7.88.1\"");
}

static void writes_json(void)
{
    struct access_entry entry = make_entry();

    CHECK_STR(line_of(&entry, ACCESS_JSON),
              "{\"time\":\"2026-11-22T12:00:00Z\",\"remote\":\"127.0.0.1\","
              "\"method\":\"GET\",\"url\":\"/a?b=c\",\"httpVersion\":\"1.1\","
              "\"status\":200,\"bytes\":5,\"duration\":0.000123,"
              "\"referer\":\"http://x/\",\"userAgent\":\"curl/7.88.1\"}");
}

static void writes_ids_and_traces_in_json_alone(void)
{
    struct access_entry entry = make_entry();

    entry.id = str_of("a\"b");
    entry.trace = str_of("00-1-2-01");
    CHECK_STR(line_of(&entry, ACCESS_JSON),
              "{\"time\":\"2026-11-22T12:00:00Z\",\"remote\":\"127.0.0.1\","
              "\"method\":\"GET\",\"url\":\"/a?b=c\",\"httpVersion\":\"1.1\","
              "\"status\":200,\"bytes\":5,\"duration\":0.000123,"
              "\"referer\":\"http://x/\",\"userAgent\":\"curl/7.88.1\","
              "\"requestId\":\"a\\\"b\",\"traceparent\":\"00-1-2-01\"}");
    CHECK_STR(line_of(&entry, ACCESS_COMMON),
              "127.0.0.1 - - [22/Nov/2026:12:00:00 +0000] "
              "\"GET /a?b=c HTTP/1.1\" 200 5");
}

static void writes_what_is_missing(void)
{
    struct access_entry entry = {.version = 10, .status = 400, .time = 0};

    CHECK_STR(line_of(&entry, ACCESS_COMBINED),
              "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"");
    CHECK_STR(line_of(&entry, ACCESS_JSON),
              "{\"time\":\"1970-01-01T00:00:00Z\",\"remote\":null,"
              "\"method\":null,\"url\":null,\"httpVersion\":\"1.0\","
              "\"status\":400,\"bytes\":0,\"duration\":0.000000,"
              "\"referer\":null,\"userAgent\":null}");
}

static void writes_versions_and_large_numbers(void)
{
    struct access_entry entry = make_entry();

    entry.version = 20;
    entry.bytes = UINT64_MAX;
    CHECK_STR(line_of(&entry, ACCESS_COMMON),
              "127.0.0.1 - - [22/Nov/2026:12:00:00 +0000] "
              "\"GET /a?b=c HTTP/2.0\" 200 18446744073709551615");
}

static bool has(struct str line, const char *part)
{
    return line.n > 0 && memmem(line.p, line.n, part, strlen(part)) != NULL;
}

static void writes_durations_to_the_microsecond(void)
{
    struct access_entry entry = make_entry();

    entry.duration = 12.3456784;
    CHECK(has(line_of(&entry, ACCESS_JSON), "\"duration\":12.345678,"));
    entry.duration = 0.9999996;
    CHECK(has(line_of(&entry, ACCESS_JSON), "\"duration\":1.000000,"));
    entry.duration = -1; /* the clock was set back */
    CHECK(has(line_of(&entry, ACCESS_JSON), "\"duration\":0.000000,"));
}

static void escapes_like_nginx(void)
{
    struct access_entry entry = make_entry();

    entry.user_agent = STR("a\"b\\c\r\nd\x1b[2J\x7f\xc3\xa9\0e");
    CHECK(has(line_of(&entry, ACCESS_COMBINED),
              "\"a\\x22b\\x5Cc\\x0D\\x0Ad\\x1B[2J\\x7F\\xC3\\xA9\\x00e\""));
    entry.method = STR("G\"T");
    entry.remote = STR("1.2.3.4 - - [x]");
    CHECK(has(line_of(&entry, ACCESS_COMMON), "\"G\\x22T /a"));
    CHECK(has(line_of(&entry, ACCESS_COMMON), "1.2.3.4 - - [22/"));
}

static void escapes_in_json(void)
{
    struct access_entry entry = make_entry();

    entry.target = STR("a\"b\\c\r\n\x7f\0e");
    CHECK(has(line_of(&entry, ACCESS_JSON),
              "\"url\":\"a\\\"b\\\\c\\u000D\\u000A\\u007F\\u0000e\""));
}

static void keeps_good_utf8_in_json_and_marks_bad(void)
{
    static const struct {
        struct str got;
        const char *wanted;
    } cases[] = {
        {STR("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
         "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {STR("\xff"), "\"\\ufffd\""},
        {STR("\xc3"), "\"\\ufffd\""}, /* cut short */
        {STR("\xe2\x82"), "\"\\ufffd\\ufffd\""},
        {STR("\xf0\x9f\x98x"), "\"\\ufffd\\ufffd\\ufffdx\""},
        {STR("\x80x"), "\"\\ufffdx\""},          /* no first byte */
        {STR("\xc0\xaf"), "\"\\ufffd\\ufffd\""}, /* overlong */
        {STR("\xe0\x80\xaf"), "\"\\ufffd\\ufffd\\ufffd\""},
        {STR("\xf0\x80\x80\xaf"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {STR("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
        {STR("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {STR("\xc2\x9b"), "\"\\ufffd\\ufffd\""}, /* C1: CSI */
        {STR("\xc2\xa0"), "\"\xc2\xa0\""},
        {STR("\xed\x9f\xbf\xee\x80\x80"), "\"\xed\x9f\xbf\xee\x80\x80\""},
        {STR("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access_entry entry = make_entry();

        entry.target = cases[i].got;
        CHECK(has(line_of(&entry, ACCESS_JSON), cases[i].wanted));
    }
}

/* A line for each place of c in a user agent of n bytes. */
static void write_agents(size_t n, char c)
{
    struct access_entry entry = make_entry();
    char agent[40];

    for (size_t at = 0; at < n; at++) {
        memset(agent, 'a', n);
        agent[at] = c;
        entry.user_agent = (struct str){agent, n};
        access_write(&entry);
    }
}

/* Blocks of sixteen bytes, and fewer at the end, are looked at in one go: each
 * byte value, at each place of each length. */
static void escapes_every_byte_at_every_place(void)
{
    for (int c = 0; c < 256; c++) {
        bool plain = c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';

        start(ACCESS_COMBINED);
        for (size_t n = 1; n <= 34; n++)
            write_agents(n, (char)c);
        access_close();
        for (struct str all = contents(path); all.n;) {
            struct str line = str_cut(&all, '\n');

            CHECK(has(line, "\\x") == !plain);
        }
    }
}

static void cuts_texts_at_the_limit(void)
{
    static char target[ACCESS_TEXT_MAX + 100];
    struct access_entry entry = make_entry();
    struct str line;

    memset(target, 'x', sizeof target);
    entry.target = (struct str){target, ACCESS_TEXT_MAX};
    line = line_of(&entry, ACCESS_COMMON);
    CHECK_INT(line.n, ACCESS_TEXT_MAX + sizeof LINE - 2 - strlen("/a?b=c"));
    entry.target.n = sizeof target;
    CHECK_INT(line_of(&entry, ACCESS_COMMON).n, line.n);
}

/* The longest line there can be, onto a buffer that is as full as can be. */
static void has_room_for_the_worst_line(void)
{
    static char evil[ACCESS_TEXT_MAX];
    struct str worst = {evil, sizeof evil};
    struct access_entry entry = {.time = NOON, .bytes = UINT64_MAX};
    struct access_entry filler = make_entry();

    memset(evil, 1, sizeof evil);
    entry.remote = entry.method = entry.target = worst;
    entry.referer = entry.user_agent = worst;
    entry.status = 999;
    entry.duration = 1e12;
    start(ACCESS_JSON);
    filler.target = (struct str){"/", 1};
    for (size_t used = 0; used + 240 < ACCESS_BUFFER_SIZE; used += 240)
        access_write(&filler);
    CHECK_INT(contents(path).n, 0);
    access_write(&entry);
    access_close();
    CHECK(contents(path).n > 5 * 6 * ACCESS_TEXT_MAX);
}

static void collects_until_flushed(void)
{
    struct access_entry entry = make_entry();
    size_t n;

    start(ACCESS_COMMON);
    access_write(&entry);
    CHECK_INT(contents(path).n, 0);
    access_flush();
    CHECK(contents(path).n > 0);
    access_flush();
    for (int i = 0; i < 2000; i++)
        access_write(&entry);
    n = contents(path).n;
    CHECK(n >= ACCESS_BUFFER_SIZE && text[n - 1] == '\n');
    access_close();
}

static void follows_the_time(void)
{
    struct access_entry entry = make_entry();
    struct str all;

    start(ACCESS_COMMON);
    access_write(&entry);
    entry.time++;
    access_write(&entry);
    access_close();
    all = contents(path);
    CHECK(has(str_cut(&all, '\n'), "12:00:00"));
    CHECK(has(str_cut(&all, '\n'), "12:00:01"));
    entry.time = NOON;
    CHECK(has(line_of(&entry, ACCESS_JSON), "2026-11-22T12:00:00Z"));
}

static void reopens_after_rotation(void)
{
    struct access_entry entry = make_entry();

    start(ACCESS_COMMON);
    access_write(&entry);
    CHECK_INT(rename(path, moved), 0);
    CHECK_INT(access_reopen(), 0);
    CHECK(contents(moved).n > 0); /* what was collected before */
    CHECK_INT(contents(path).n, 0);
    access_write(&entry);
    access_flush();
    CHECK(contents(path).n > 0);
    access_close();
}

static void keeps_the_old_file_where_the_new_fails(void)
{
    struct access_entry entry = make_entry();

    start(ACCESS_COMMON);
    CHECK_INT(rename(path, moved), 0);
    CHECK_INT(mkdir(path, 0755), 0);
    CHECK_INT(access_reopen(), -1);
    CHECK_INT(errno, EISDIR);
    CHECK_INT(access_open(path, ACCESS_COMMON), -1);
    access_write(&entry);
    access_close();
    CHECK(contents(moved).n > 0);
    rmdir(path);
}

static void does_nothing_without_a_log(void)
{
    struct access_entry entry = make_entry();

    access_close();
    CHECK(!access_enabled());
    access_write(&entry);
    access_flush();
    CHECK_INT(access_reopen(), 0);
    CHECK_INT(access_open("/nonexistent/folder/x", ACCESS_COMMON), -1);
    CHECK_INT(errno, ENOENT);
    CHECK(!access_enabled());
    start(ACCESS_COMMON);
    CHECK(access_enabled());
    access_close();
}

/* Reads what is in the pipe; returns the count of bytes. */
static size_t drain(int fd)
{
    ssize_t n = read(fd, text, sizeof text);

    return n > 0 ? (size_t)n : 0;
}

/* Standard output, which is a pipe of 4 KiB that does not block. */
static void keeps_lines_for_a_pipe_that_is_full(void)
{
    int ends[2], saved = dup(STDOUT_FILENO);
    struct access_entry entry = make_entry();
    size_t size = 0, n;

    fflush(stdout);
    CHECK_INT(pipe2(ends, O_NONBLOCK), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    dup2(ends[1], STDOUT_FILENO);
    CHECK_INT(access_open("-", ACCESS_COMMON), 0);
    for (int i = 0; i < 100; i++)
        access_write(&entry);
    for (n = 1; n; size += n) {
        access_flush();
        n = drain(ends[0]);
    }
    access_close();
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[1]);
    close(ends[0]);
    CHECK_INT(size, 100 * (sizeof LINE - 1));
}

/* A reader that stopped costs lines, not memory, and no line is cut in two. */
static void loses_lines_whole_for_a_reader_that_stopped(void)
{
    int ends[2], saved = dup(STDOUT_FILENO);
    struct access_entry entry = make_entry();
    struct str all;
    size_t good = 0, n = 0, got;

    fflush(stdout);
    CHECK_INT(pipe2(ends, O_NONBLOCK), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    dup2(ends[1], STDOUT_FILENO);
    log_open(path);
    CHECK_INT(access_open("-", ACCESS_COMMON), 0);
    for (int i = 0; i < 3000; i++)
        access_write(&entry);
    for (got = 1; got; n += got) {
        ssize_t more = read(ends[0], text + n, sizeof text - n);

        got = more > 0 ? (size_t)more : 0;
        access_flush();
    }
    access_write(&entry);
    access_close();
    n += (size_t)read(ends[0], text + n, sizeof text - n);
    log_open(NULL);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[1]);
    close(ends[0]);
    for (all = (struct str){text, n}; all.n;) {
        struct str line = str_cut(&all, '\n');

        CHECK(str_starts(line, STR("127.0.0.1 - - [")));
        CHECK(line.n < sizeof LINE - 1);
        good += line.n == sizeof LINE - 2;
    }
    CHECK(good > 50 && good < 3000);
    all = contents(path);
    CHECK(has(all, "access log -: Resource temporarily unavailable"));
    CHECK(has(all, "access log -: works again"));
    unlink(path);
}

static void reports_a_full_disk_once(void)
{
    struct access_entry entry = make_entry();
    struct str all;

    if (access_open("/dev/full", ACCESS_COMMON) != 0)
        return;
    unlink(path);
    log_open(path);
    for (int i = 0; i < 3; i++) {
        access_write(&entry);
        access_flush();
    }
    access_close();
    log_open(NULL);
    all = contents(path);
    CHECK(has(str_cut(&all, '\n'), "/dev/full: No space left on device"));
    CHECK_INT(all.n, 0);
}

static void knows_formats_by_name(void)
{
    CHECK_INT(access_format_of("common"), ACCESS_COMMON);
    CHECK_INT(access_format_of("combined"), ACCESS_COMBINED);
    CHECK_INT(access_format_of("json"), ACCESS_JSON);
    CHECK_INT(access_format_of("JSON"), -1);
    CHECK_INT(access_format_of(""), -1);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(moved, sizeof moved, "%s/log.1", folder);
    RUN(writes_the_common_format);
    RUN(writes_the_combined_format);
    RUN(writes_json);
    RUN(writes_ids_and_traces_in_json_alone);
    RUN(writes_what_is_missing);
    RUN(writes_versions_and_large_numbers);
    RUN(writes_durations_to_the_microsecond);
    RUN(escapes_like_nginx);
    RUN(escapes_in_json);
    RUN(keeps_good_utf8_in_json_and_marks_bad);
    RUN(escapes_every_byte_at_every_place);
    RUN(cuts_texts_at_the_limit);
    RUN(has_room_for_the_worst_line);
    RUN(collects_until_flushed);
    RUN(follows_the_time);
    RUN(reopens_after_rotation);
    RUN(keeps_the_old_file_where_the_new_fails);
    RUN(does_nothing_without_a_log);
    RUN(keeps_lines_for_a_pipe_that_is_full);
    RUN(loses_lines_whole_for_a_reader_that_stopped);
    RUN(reports_a_full_disk_once);
    RUN(knows_formats_by_name);
    unlink(path);
    unlink(moved);
    rmdir(folder);
    return test_finish();
}
