/* Lines are rendered straight into one large buffer. It is a buffer's length
 * plus the longest possible line, so nothing is measured before it is written
 * and no line is ever cut by a flush: workers share the file, and a write of
 * whole lines in append mode does not mix with theirs. Text is checked sixteen
 * bytes at a time, for nearly all of it needs no escape. The formats: common
 * and combined as Apache defined and nginx writes them (\xHH for what is not
 * plain ASCII), and JSON with one object a line. Left out: the user of HTTP
 * authentication (always "-"), other time zones than UTC, formats of the
 * user's own. */
#include "http/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/log.h"

enum {
    TEXTS = 7,      /* of an entry */
    ESCAPE_MAX = 6, /* bytes that one byte of text may become: \u00HH */
    LINE_MAX_SIZE = TEXTS * ACCESS_TEXT_MAX * ESCAPE_MAX + 512,
    STAMP_SIZE = 32
};

static struct {
    const char *path;
    enum access_format format;
    bool enabled;
    bool failing;  /* the last flush lost lines, and the log said so */
    bool mid_line; /* what was written last did not end a line */
    int fd;
    size_t used;
    time_t stamp_time;
    size_t stamp_length;
    char stamp[STAMP_SIZE]; /* the text of stamp_time */
    char buffer[ACCESS_BUFFER_SIZE + LINE_MAX_SIZE];
} self;

static char *put(char *out, const char *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return out + n;
}

#define PUT(out, literal) put((out), (literal), sizeof(literal) - 1)

static char *put_number(char *out, uint64_t n)
{
    return out + encode_decimal(n, out);
}

/* Writes the last count digits of n, zeros in front. */
static char *put_digits(char *out, unsigned n, int count)
{
    for (int i = count; i-- > 0; n /= 10)
        out[i] = (char)('0' + n % 10);
    return out + count;
}

/* True for a byte that every format takes as it is. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';
}

/* is_plain for sixteen bytes at once. */
static bool is_plain_block(const char *p)
{
    unsigned char v __attribute__((vector_size(16)));
    signed char bad __attribute__((vector_size(16)));
    uint64_t w[2];

    memcpy(&v, p, sizeof(v));
    bad = (v < 0x20) | (v > 0x7e) | (v == '"') | (v == '\\');
    memcpy(w, &bad, sizeof(w));
    return (w[0] | w[1]) == 0;
}

/* is_plain for n bytes, from 1 to 15, which overlapping reads fit into a block
 * without looking at what lies behind them. */
static bool is_plain_short(const char *p, size_t n)
{
    char block[16] = "                ";

    if (n >= 8) {
        memcpy(block, p, 8);
        memcpy(block + 8, p + n - 8, 8);
    } else if (n >= 4) {
        memcpy(block, p, 4);
        memcpy(block + 4, p + n - 4, 4);
    } else {
        block[0] = p[0];
        block[1] = p[n / 2];
        block[2] = p[n - 1];
    }
    return is_plain_block(block);
}

/* Copies the plain bytes at the front of *s and takes them off it. */
static char *put_plain(char *out, struct str *s)
{
    while (s->n >= 16 && is_plain_block(s->p)) {
        out = put(out, s->p, 16);
        *s = str_skip(*s, 16);
    }
    if (s->n > 0 && s->n < 16 && is_plain_short(s->p, s->n)) {
        out = put(out, s->p, s->n);
        *s = str_skip(*s, s->n);
    }
    while (s->n && is_plain((unsigned char)*s->p)) {
        *out++ = *s->p;
        *s = str_skip(*s, 1);
    }
    return out;
}

static struct str shorten(struct str s)
{
    return s.n > ACCESS_TEXT_MAX ? (struct str){s.p, ACCESS_TEXT_MAX} : s;
}

static char *put_hex(char *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";

    *out++ = digits[c >> 4];
    *out++ = digits[c & 15];
    return out;
}

/* Text of the common and combined formats; "-" where there is none. */
static char *put_text(char *out, struct str s)
{
    if (s.n == 0)
        return PUT(out, "-");
    s = shorten(s);
    for (out = put_plain(out, &s); s.n; out = put_plain(out, &s)) {
        out = PUT(out, "\\x");
        out = put_hex(out, (unsigned char)*s.p);
        s = str_skip(s, 1);
    }
    return out;
}

/* The length of the well-formed UTF-8 sequence (RFC 3629 4) of two bytes or
 * more that s begins with, or 0. C1 controls count as malformed here. */
static size_t utf8_length(struct str s)
{
    unsigned char a = (unsigned char)s.p[0];
    unsigned char b = s.n > 1 ? (unsigned char)s.p[1] : 0;
    unsigned char low = a == 0xe0   ? 0xa0
                        : a == 0xf0 ? 0x90
                        : a == 0xc2 ? 0xa0
                                    : 0x80;
    unsigned char high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    size_t n = a >= 0xf0 ? 4 : a >= 0xe0 ? 3 : 2;

    if (a < 0xc2 || a > 0xf4 || n > s.n || b < low || b > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* Writes the one byte or sequence at the front of *s, which is not plain. */
static char *put_json_escape(char *out, struct str *s)
{
    unsigned char c = (unsigned char)*s->p;
    size_t n = c < 0x80 ? 1 : utf8_length(*s);

    if (c == '"' || c == '\\') {
        *out++ = '\\';
        *out++ = (char)c;
    } else if (c < 0x80) {
        out = PUT(out, "\\u00");
        out = put_hex(out, c);
    } else if (n == 0) {
        out = PUT(out, "\\ufffd");
        n = 1;
    } else {
        out = put(out, s->p, n);
    }
    *s = str_skip(*s, n);
    return out;
}

static char *put_json_text(char *out, struct str s)
{
    if (s.n == 0)
        return PUT(out, "null");
    s = shorten(s);
    *out++ = '"';
    for (out = put_plain(out, &s); s.n; out = put_plain(out, &s))
        out = put_json_escape(out, &s);
    *out++ = '"';
    return out;
}

static void format_stamp(time_t t)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    int n;

    gmtime_r(&t, &tm);
    if (self.format == ACCESS_JSON)
        n = snprintf(self.stamp, STAMP_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
    else
        n = snprintf(self.stamp, STAMP_SIZE,
                     "%02d/%.3s/%04d:%02d:%02d:%02d +0000", tm.tm_mday,
                     months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
    self.stamp_length = (size_t)n < STAMP_SIZE ? (size_t)n : STAMP_SIZE - 1;
    self.stamp_time = t;
}

static char *put_stamp(char *out, time_t t)
{
    if (t != self.stamp_time || self.stamp_length == 0)
        format_stamp(t);
    return put(out, self.stamp, self.stamp_length);
}

static char *put_version(char *out, int version)
{
    out[0] = (char)('0' + version / 10);
    out[1] = '.';
    out[2] = (char)('0' + version % 10);
    return out + 3;
}

/* A remote that a proxy named may hold anything; here it ends at a blank. */
static char *put_remote(char *out, struct str remote)
{
    const char *blank = remote.n ? memchr(remote.p, ' ', remote.n) : NULL;

    if (blank)
        remote.n = (size_t)(blank - remote.p);
    return put_text(out, remote);
}

static char *put_common(char *out, const struct access_entry *entry)
{
    out = put_remote(out, entry->remote);
    out = PUT(out, " - - [");
    out = put_stamp(out, entry->time);
    out = PUT(out, "] \"");
    out = put_text(out, entry->method);
    if (entry->method.n) {
        *out++ = ' ';
        out = put_text(out, entry->target);
        out = PUT(out, " HTTP/");
        out = put_version(out, entry->version);
    }
    out = PUT(out, "\" ");
    out = put_digits(out, (unsigned)entry->status, 3);
    *out++ = ' ';
    return put_number(out, entry->bytes);
}

static char *put_combined(char *out, const struct access_entry *entry)
{
    out = put_common(out, entry);
    out = PUT(out, " \"");
    out = put_text(out, entry->referer);
    out = PUT(out, "\" \"");
    out = put_text(out, entry->user_agent);
    return PUT(out, "\"");
}

/* Seconds to the microsecond. */
static char *put_duration(char *out, double seconds)
{
    uint64_t us = seconds > 0 ? (uint64_t)(seconds * 1e6 + 0.5) : 0;

    out = put_number(out, us / 1000000);
    *out++ = '.';
    return put_digits(out, (unsigned)(us % 1000000), 6);
}

static char *put_json(char *out, const struct access_entry *entry)
{
    out = PUT(out, "{\"time\":\"");
    out = put_stamp(out, entry->time);
    out = PUT(out, "\",\"remote\":");
    out = put_json_text(out, entry->remote);
    out = PUT(out, ",\"method\":");
    out = put_json_text(out, entry->method);
    out = PUT(out, ",\"url\":");
    out = put_json_text(out, entry->target);
    out = PUT(out, ",\"httpVersion\":\"");
    out = put_version(out, entry->version);
    out = PUT(out, "\",\"status\":");
    out = put_digits(out, (unsigned)entry->status, 3);
    out = PUT(out, ",\"bytes\":");
    out = put_number(out, entry->bytes);
    out = PUT(out, ",\"duration\":");
    out = put_duration(out, entry->duration);
    out = PUT(out, ",\"referer\":");
    out = put_json_text(out, entry->referer);
    out = PUT(out, ",\"userAgent\":");
    out = put_json_text(out, entry->user_agent);
    if (entry->id.n > 0) {
        out = PUT(out, ",\"requestId\":");
        out = put_json_text(out, entry->id);
    }
    if (entry->trace.n > 0) {
        out = PUT(out, ",\"traceparent\":");
        out = put_json_text(out, entry->trace);
    }
    return PUT(out, "}");
}

bool access_has_ids(void)
{
    return self.format == ACCESS_JSON;
}

void access_write(const struct access_entry *entry)
{
    char *out = self.buffer + self.used;

    if (!self.enabled)
        return;
    if (self.format == ACCESS_JSON)
        out = put_json(out, entry);
    else if (self.format == ACCESS_COMBINED)
        out = put_combined(out, entry);
    else
        out = put_common(out, entry);
    *out++ = '\n';
    self.used = (size_t)(out - self.buffer);
    if (self.used >= ACCESS_BUFFER_SIZE)
        access_flush();
}

/* Says once that the log fails and once that it works again. */
static void report(int error)
{
    if (error && !self.failing)
        log_error("access log %s: %s; lines are lost", self.path,
                  strerror(error));
    else if (!error && self.failing)
        log_warn("access log %s: works again", self.path);
    self.failing = error != 0;
}

/* Takes the first n bytes, which were written, off the buffer. */
static void consume(size_t n)
{
    if (n == 0)
        return;
    self.mid_line = self.buffer[n - 1] != '\n';
    self.used -= n;
    memmove(self.buffer, self.buffer + n, self.used);
}

/* Empties the buffer; a line of which a part is written gets its end. */
static void lose(int error)
{
    report(error);
    self.buffer[0] = '\n';
    self.used = self.mid_line ? 1 : 0;
}

void access_flush(void)
{
    size_t done = 0;
    int error = 0;

    if (self.used == 0)
        return;
    while (done < self.used && error == 0) {
        ssize_t n = write(self.fd, self.buffer + done, self.used - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            error = errno;
    }
    consume(done);
    if (error == 0)
        report(0);
    else if (error != EAGAIN || self.used >= ACCESS_BUFFER_SIZE)
        lose(error);
}

static int open_file(const char *path)
{
    if (strcmp(path, "-") == 0)
        return STDOUT_FILENO;
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void close_file(void)
{
    if (self.fd != STDOUT_FILENO)
        close(self.fd);
}

int access_open(const char *path, enum access_format format)
{
    int fd = open_file(path);

    if (fd < 0)
        return -1;
    access_close();
    self.path = path;
    self.format = format;
    self.fd = fd;
    self.enabled = true;
    self.stamp_length = 0;
    return 0;
}

int access_reopen(void)
{
    int fd;

    if (!self.enabled)
        return 0;
    fd = open_file(self.path);
    if (fd < 0)
        return -1;
    access_flush();
    close_file();
    self.fd = fd;
    return 0;
}

void access_close(void)
{
    if (!self.enabled)
        return;
    access_flush();
    close_file();
    self.enabled = false;
    self.failing = false;
    self.mid_line = false;
    self.used = 0;
}

bool access_enabled(void)
{
    return self.enabled;
}

int access_format_of(const char *name)
{
    static const char *const names[] = {"common", "combined", "json"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    return -1;
}
