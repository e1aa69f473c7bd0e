/* Counts of the requests of this process by route, method and status, and how
 * long they took, for /metrics. Off until somebody asks, so that others pay a
 * test of a flag. The server counts an exchange when it has ended. */
#ifndef HTTP_STATS_H
#define HTTP_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "http/exchange.h"

enum {
    STATS_SERIES = 1024, /* of route, method and status; the rest is one more */
    STATS_BUCKETS = 12
};

struct stats_series {
    uint16_t route; /* exchange->route; 0: none */
    uint16_t status;
    const char *method; /* "OTHER" for what is not in RFC 9110 and 5789 */
    uint64_t count;
    double seconds;                  /* in all */
    uint64_t buckets[STATS_BUCKETS]; /* each alone, up to stats_bounds */
};

/* Upper ends of the buckets, in seconds; what took longer is only in count. */
extern const double stats_bounds[STATS_BUCKETS];

extern bool stats_enabled;

/* Counts x, whose answer has ended with status. */
void stats_count(const struct exchange *x, int status);

/* The i-th series, from 0; NULL behind the last. */
const struct stats_series *stats_at(unsigned i);

#endif
