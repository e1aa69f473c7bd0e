/* What time it is, cheaply: a monotonic clock for deadlines and the text of the
 * wall clock for Date headers and logs, made once a second. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { CLOCK_DATE_SIZE = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Nanoseconds of the monotonic clock. */
uint64_t clock_monotonic(void);

/* Nanoseconds of CPU time that the calling thread has used. */
uint64_t clock_thread_cpu(void);

/* Writes the IMF-fixdate of t (RFC 9110 5.6.7), CLOCK_DATE_SIZE bytes and a
 * NUL, to out. */
void clock_format_date(time_t t, char out[static CLOCK_DATE_SIZE + 1]);

/* The IMF-fixdate of the second now (wall clock), CLOCK_DATE_SIZE bytes and a
 * NUL; valid until the next call. Formats only when now has changed. */
const char *clock_date(time_t now);

/* Reads a date in one of the three formats of RFC 9110 5.6.7. Returns 0 and
 * sets *t, or -1 where the text is no date. */
int clock_parse_date(const char *text, size_t n, time_t *t);

#endif
