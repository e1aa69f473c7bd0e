/* A message is put together in a buffer on the stack (on the heap when it is
 * long) and handed to the kernel in one write: with O_APPEND that keeps lines
 * of several processes apart without a lock. A log that cannot be written to (a
 * full disk, a reader that is gone) must never stop the server, so errors of
 * write are not looked at. Rotating is left to others, who rename and then have
 * the log reopened. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    STACK_SIZE = 2048, /* bytes of a line built without the heap */
    PREFIX_SIZE = 64   /* more than "2026-11-22T12:00:00.123Z error: " */
};

static const char *const names[] = {"error", "warn", "info", "debug"};

static enum log_level most = LOG_LEVEL_INFO;
static const char *log_path; /* NULL: standard error */
static int log_fd = STDERR_FILENO;

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* Makes fd the log's. A file that is in use is replaced under its own number,
 * so that a thread about to write never meets a closed descriptor. */
static int use_file(int fd)
{
    int failed;

    if (log_fd == STDERR_FILENO) {
        log_fd = fd;
        return 0;
    }
    failed = dup3(fd, log_fd, O_CLOEXEC) < 0;
    close(fd);
    return failed ? -1 : 0;
}

static void use_stderr(void)
{
    int old = log_fd;

    log_path = NULL;
    log_fd = STDERR_FILENO;
    if (old != STDERR_FILENO)
        close(old);
}

int log_open(const char *path)
{
    int fd;

    if (path == NULL || strcmp(path, "-") == 0) {
        use_stderr();
        return 0;
    }
    fd = open_file(path);
    if (fd < 0 || use_file(fd) < 0)
        return -1;
    log_path = path;
    return 0;
}

int log_reopen(void)
{
    int fd;

    if (log_path == NULL)
        return 0;
    fd = open_file(log_path);
    return fd < 0 ? -1 : use_file(fd);
}

void log_set_level(enum log_level level)
{
    most = level;
}

bool log_takes(enum log_level level)
{
    return level <= most;
}

int log_level_of(const char *name)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

/* Writes time and level to out; returns the count of bytes. */
static size_t write_prefix(enum log_level level, char out[static PREFIX_SIZE])
{
    struct timespec now;
    struct tm tm;
    int millis;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    millis = (int)(now.tv_nsec / 1000000);
    n = strftime(out, PREFIX_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(out + n, PREFIX_SIZE - n, ".%03dZ %s: ", millis,
                          names[level]);
    return n;
}

/* Makes the n bytes at text one record: control characters become '?', and a
 * tab goes behind each newline (text has room for twice n). Returns the new
 * count. */
static size_t neutralize(char *text, size_t n)
{
    size_t lines = 0, to;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\n')
            lines++;
        else if ((c < ' ' && c != '\t') || c == 0x7f)
            text[i] = '?';
    }
    to = n + lines;
    for (size_t from = n; to > from;) {
        char c = text[--from];

        if (c == '\n')
            text[--to] = '\t';
        text[--to] = c;
    }
    return n + lines;
}

static void write_all(const char *p, size_t n)
{
    ssize_t did;

    while (n > 0) {
        did = write(log_fd, p, n);
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0)
            return;
        p += did;
        n -= (size_t)did;
    }
}

static void write_message(enum log_level level, const char *format,
                          va_list args)
{
    char stack[STACK_SIZE], *line = stack;
    int saved = errno, length;
    va_list again;
    size_t head, n;

    va_copy(again, args);
    head = write_prefix(level, stack);
    errno = saved; /* for %m */
    length = vsnprintf(stack + head, sizeof stack - head, format, args);
    n = length < 0 ? 0 : (size_t)length;
    if (head + 2 * n + 2 > sizeof stack) {
        line = mem_alloc(head + 2 * n + 2);
        memcpy(line, stack, head);
        errno = saved;
        vsnprintf(line + head, n + 1, format, again);
    }
    va_end(again);
    n = head + neutralize(line + head, n);
    line[n++] = '\n';
    write_all(line, n);
    if (line != stack)
        mem_free(line);
    errno = saved;
}

/* The four levels differ in nothing but the constant; va_start has to stand in
 * the variadic function itself. */
#define LOG_FUNCTION(name, level)                                              \
    void name(const char *format, ...)                                         \
    {                                                                          \
        va_list args;                                                          \
                                                                               \
        if (level > most)                                                      \
            return;                                                            \
        va_start(args, format);                                                \
        write_message(level, format, args);                                    \
        va_end(args);                                                          \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
