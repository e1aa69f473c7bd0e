/* The access log: one line a request, in one of three formats, collected in
 * memory and written in one piece. One per process; the server writes an entry
 * when a response has ended, and flushes at the end of the loop's turn.
 * Whatever a client says is escaped, so that a line stays a line. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"

enum {
    ACCESS_BUFFER_SIZE = 64 * 1024, /* collected before it is written */
    ACCESS_TEXT_MAX = 8 * 1024      /* bytes logged of any one text */
};

enum access_format { ACCESS_COMMON, ACCESS_COMBINED, ACCESS_JSON };

struct access_entry {
    struct str remote;              /* IP of the client */
    struct str method, target;      /* empty where the request line was bad */
    struct str referer, user_agent; /* empty where not sent */
    struct str id, trace; /* X-Request-Id, traceparent; JSON alone, if at all */
    uint64_t bytes;       /* of the response's body */
    double duration;      /* seconds */
    time_t time;          /* wall clock, when the request ended */
    int version;          /* 10, 11 or 20 */
    int status;
};

/* Starts the log in the file path (borrowed until access_close; appended to,
 * made with mode 0640); "-" is standard output. Returns 0, or -1 with errno. */
int access_open(const char *path, enum access_format format);

/* Flushes and opens the file anew, for log rotation. Returns 0, or -1 with
 * errno, and then the old file stays in use. */
int access_reopen(void);

/* Flushes and ends the log; safe where none is open. */
void access_close(void);

/* True between access_open and access_close: entries are worth making. */
bool access_enabled(void);

/* Whether ids and traces of entries are written. */
bool access_has_ids(void);

/* Adds the line of entry, which is read at once. Does nothing without a log. */
void access_write(const struct access_entry *entry);

/* Writes what was collected. A file or pipe that cannot take it now keeps it
 * for the next time; one that fails loses it, which is logged once. */
void access_flush(void);

/* The format named "common", "combined" or "json", or -1. */
int access_format_of(const char *name);

#endif
