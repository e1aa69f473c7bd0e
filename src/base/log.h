/* The server's log: "2026-11-22T12:00:00.123Z error: message", UTC, to standard
 * error or to a file that can be reopened after rotation. One per process; used
 * by every layer. Messages may hold several lines (tracebacks): those after the
 * first begin with a tab, and other control characters become '?', so that what
 * a peer sent can neither forge a line nor move a terminal's cursor. Each
 * message is one write(2): lines of several processes never mix. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* Sends the log to the file path (borrowed until the process ends, opened for
 * appending); NULL or "-" means standard error. Returns 0, or -1 with errno,
 * and then the old log stays. */
int log_open(const char *path);

/* Opens the file of log_open anew, for log rotation; nothing to do where that
 * is standard error. Returns 0, or -1 with errno, and then the old file stays
 * in use. */
int log_reopen(void);

/* Messages above level are dropped. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Whether messages of that level are written: where making one is dear. */
bool log_takes(enum log_level level);

/* The level named by name ("error", "warn", "info", "debug"), or -1. */
int log_level_of(const char *name);

/* Writes one message, printf-style, without a final newline; any thread may.
 * Leaves errno as it was. A message that cannot be written is lost. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
