/* The log: the shape of a line, levels, long and hostile messages, rotation,
 * and lines of several processes that do not mix. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

static char folder[] = "/tmp/luaserve-log-XXXXXX";
static char path[64], moved[64];

/* What the file holds, until the next call. */
static struct str contents(const char *file)
{
    static char text[1 << 20];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    return (struct str){text, n < 0 ? 0 : (size_t)n};
}

static void start(void)
{
    unlink(path);
    unlink(moved);
    CHECK_INT(log_open(path), 0);
    log_set_level(LOG_LEVEL_INFO);
}

/* Checks that the log is exactly one line: a time, then wanted. */
static void check_line(struct str wanted)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    enum { TIME_SIZE = sizeof shape - 1 };
    struct str text = contents(path);

    CHECK(text.n > TIME_SIZE && text.p[text.n - 1] == '\n');
    for (size_t i = 0; i < TIME_SIZE && i < text.n; i++)
        CHECK(shape[i] == 'd' ? text.p[i] >= '0' && text.p[i] <= '9'
                              : text.p[i] == shape[i]);
    if (text.n > TIME_SIZE)
        CHECK(str_eq((struct str){text.p + TIME_SIZE, text.n - TIME_SIZE - 1},
                     wanted));
}

static void writes_time_level_and_message(void)
{
    start();
    log_error("no %s, %d", "luck", 7);
    check_line(STR("error: no luck, 7"));
    start();
    log_warn("x");
    check_line(STR("warn: x"));
    start();
    log_info("%s", "");
    check_line(STR("info: "));
}

static void drops_what_is_above_the_level(void)
{
    start();
    log_debug("hidden");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("hidden");
    log_error("seen");
    check_line(STR("error: seen"));
    start();
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("seen");
    check_line(STR("debug: seen"));
}

static void knows_levels_by_name(void)
{
    CHECK_INT(log_level_of("error"), LOG_LEVEL_ERROR);
    CHECK_INT(log_level_of("warn"), LOG_LEVEL_WARN);
    CHECK_INT(log_level_of("info"), LOG_LEVEL_INFO);
    CHECK_INT(log_level_of("debug"), LOG_LEVEL_DEBUG);
    CHECK_INT(log_level_of("ERROR"), -1);
    CHECK_INT(log_level_of(""), -1);
}

static void writes_long_messages_whole(void)
{
    static const int sizes[] = {900, 990, 1000, 1010, 1020, 2000, 2047, 100000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = (size_t)sizes[i];
        char *wanted = mem_alloc(n + 7);

        memcpy(wanted, "error: ", 7);
        memset(wanted + 7, 'x', n);
        start();
        log_error("%.*s", (int)n, wanted + 7);
        check_line((struct str){wanted, n + 7});
        mem_free(wanted);
    }
}

static void writes_many_newlines_whole(void)
{
    enum { LINES = 5000 };
    char *message = mem_alloc(LINES), *wanted = mem_alloc(2 * LINES + 7);

    memcpy(wanted, "error: ", 7);
    for (int i = 0; i < LINES; i++) {
        message[i] = wanted[7 + 2 * i] = '\n';
        wanted[8 + 2 * i] = '\t';
    }
    start();
    log_error("%.*s", (int)LINES, message);
    check_line((struct str){wanted, 2 * LINES + 7});
    mem_free(message);
    mem_free(wanted);
}

static void keeps_a_message_one_record(void)
{
    start();
    log_error("oops\nstack traceback:\n\t[C]: in ?");
    check_line(STR("error: oops\n\tstack traceback:\n\t\t[C]: in ?"));
    start();
    log_info("path \x1b[2J\r\x7f caf\xc3\xa9");
    check_line(STR("info: path ?[2J?? caf\xc3\xa9"));
}

static void leaves_errno_alone(void)
{
    start();
    errno = ENOENT;
    log_error("%m");
    CHECK_INT(errno, ENOENT);
    check_line(STR("error: No such file or directory"));
    start();
    errno = ENOENT;
    log_error("%2000d %m", 1); /* formatted twice */
    CHECK_INT(errno, ENOENT);
}

static void reopens_after_rotation(void)
{
    struct str old;

    start();
    log_info("first");
    CHECK_INT(rename(path, moved), 0);
    log_info("second");
    CHECK_INT(log_reopen(), 0);
    log_info("third");
    check_line(STR("info: third"));
    old = contents(moved);
    CHECK(memmem(old.p, old.n, "second", 6) != NULL);
    CHECK(memmem(old.p, old.n, "third", 5) == NULL);
}

static void appends_to_a_file_that_exists(void)
{
    struct str text;

    start();
    log_info("first");
    CHECK_INT(log_open(path), 0);
    log_info("second");
    text = contents(path);
    CHECK(memmem(text.p, text.n, "first", 5) != NULL);
    CHECK(memmem(text.p, text.n, "second", 6) != NULL);
}

static void keeps_the_old_log_where_the_new_fails(void)
{
    start();
    CHECK_INT(log_open("/nonexistent/folder/log"), -1);
    CHECK_INT(errno, ENOENT);
    log_info("still here");
    check_line(STR("info: still here"));
}

static void uses_no_more_descriptors_than_one(void)
{
    int before, after;

    start();
    before = dup(0);
    close(before);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(log_reopen(), 0);
        CHECK_INT(log_open(path), 0);
    }
    after = dup(0);
    close(after);
    CHECK_INT(after, before);
}

/* Standard error, which is a pipe for as long as this takes. */
static void writes_to_standard_error(void)
{
    int ends[2], saved = dup(STDERR_FILENO);
    char text[200];
    ssize_t n;

    start();
    CHECK_INT(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    CHECK_INT(log_open("-"), 0);
    CHECK_INT(log_reopen(), 0);
    log_info("one");
    CHECK_INT(log_open(path), 0);
    log_info("not here");
    CHECK_INT(log_open(NULL), 0);
    log_info("two");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    n = read(ends[0], text, sizeof text);
    close(ends[0]);
    CHECK(n > 0 && memmem(text, (size_t)n, "info: one\n", 10) != NULL);
    CHECK(n > 0 && memmem(text, (size_t)n, "info: two\n", 10) != NULL);
    CHECK(n > 0 && memmem(text, (size_t)n, "not here", 8) == NULL);
}

/* Each child writes lines of its own letter; a line of two letters, or of
 * another length, would be a mix. */
static void does_not_mix_lines_of_processes(void)
{
    enum { CHILDREN = 4, LINES = 50, WIDTH = 700 };
    struct str rest;
    size_t lines = 0;
    char letters[WIDTH];

    start();
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() != 0)
            continue;
        memset(letters, 'a' + i, sizeof letters);
        for (int n = 0; n < LINES; n++)
            log_info("%.*s", (int)WIDTH, letters);
        _exit(0);
    }
    while (wait(NULL) > 0)
        ;
    rest = contents(path);
    while (rest.n > 0) {
        struct str line = str_cut(&rest, '\n');
        struct str tail = str_skip(line, line.n < WIDTH ? 0 : line.n - WIDTH);

        memset(letters, tail.n ? tail.p[0] : 0, sizeof letters);
        CHECK_INT(line.n, sizeof "2026-11-22T12:00:00.123Z info: " - 1 + WIDTH);
        CHECK(str_eq(tail, (struct str){letters, WIDTH}));
        lines++;
    }
    CHECK_INT(lines, CHILDREN * LINES);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(moved, sizeof moved, "%s/log.1", folder);
    RUN(writes_time_level_and_message);
    RUN(drops_what_is_above_the_level);
    RUN(knows_levels_by_name);
    RUN(writes_long_messages_whole);
    RUN(writes_many_newlines_whole);
    RUN(keeps_a_message_one_record);
    RUN(leaves_errno_alone);
    RUN(reopens_after_rotation);
    RUN(appends_to_a_file_that_exists);
    RUN(keeps_the_old_log_where_the_new_fails);
    RUN(uses_no_more_descriptors_than_one);
    RUN(writes_to_standard_error);
    RUN(does_not_mix_lines_of_processes);
    unlink(path);
    unlink(moved);
    rmdir(folder);
    return test_finish();
}
