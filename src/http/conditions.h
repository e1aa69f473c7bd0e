/* Conditional requests (RFC 9110 13) and ranges (14) on something that has a
 * tag and a date: what is to be answered, and which bytes. Used by
 * http/sending.c. */
#ifndef HTTP_CONDITIONS_H
#define HTTP_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"
#include "http/headers.h"

enum {
    CONDITIONS_RANGES = 16 /* of a request; with more of them all is sent */
};

/* What the request is about. */
struct validators {
    struct str tag;  /* with quotes; empty where there is none */
    struct str date; /* as in Last-Modified; empty where there is none */
    time_t modified;
};

struct range {
    int64_t from, n;
};

/* Whether request may have a field that the others here look at. False, as it
 * is for most: the status is 200, and all is to be sent. */
bool conditions_any(const struct headers *request);

/* The status that a GET or HEAD is answered with by If-Match, If-None-Match,
 * If-Modified-Since and If-Unmodified-Since: 200, 304 or 412. */
int conditions_status(const struct headers *request,
                      const struct validators *v);

/* The ranges of a GET whose representation has size bytes, by Range and
 * If-Range, in ranges: their count, 0 where all is to be sent, -1 where none
 * can be satisfied (416). Those that overlap are made one. now: wall clock. */
int conditions_ranges(const struct headers *request, const struct validators *v,
                      int64_t size, time_t now,
                      struct range ranges[static CONDITIONS_RANGES]);

#endif
