/* An open hash of fixed size, since what clients may make up (methods, paths
 * without a route) is folded first. The end of the duration is taken from the
 * clock, not from the turn of the loop: a handler that works for long does so
 * within one turn. */
#include "http/stats.h"

#include "base/clock.h"

enum { PLACES = 2 * STATS_SERIES };

const double stats_bounds[STATS_BUCKETS] = {
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

bool stats_enabled;

static struct stats_series series[STATS_SERIES + 1] = {{.method = "OTHER"}};
static unsigned used = 1; /* series[0] takes what finds no place */
static uint16_t places[PLACES];

static const struct str methods[] = {
    STR("GET"),   STR("POST"),    STR("PUT"),     STR("DELETE"), STR("HEAD"),
    STR("PATCH"), STR("OPTIONS"), STR("CONNECT"), STR("TRACE")};

enum { METHODS = sizeof methods / sizeof methods[0] };

static const char *method_of(struct str method)
{
    int i;

    for (i = 0; i < METHODS; i++)
        if (str_eq(method, methods[i]))
            return methods[i].p;
    return "OTHER";
}

static struct stats_series *find(uint16_t route, const char *method,
                                 uint16_t status)
{
    unsigned at = (route * 31u + status) * 2654435761u +
                  (unsigned)method[0] * 7 + (unsigned)method[1];

    for (at %= PLACES; places[at] != 0; at = (at + 1) % PLACES) {
        struct stats_series *s = &series[places[at]];

        if (s->route == route && s->status == status && s->method == method)
            return s;
    }
    if (used == STATS_SERIES)
        return &series[0];
    places[at] = (uint16_t)used;
    series[used] = (struct stats_series){
        .route = route, .status = status, .method = method};
    return &series[used++];
}

void stats_count(const struct exchange *x, int status)
{
    double took = (double)clock_monotonic() / 1e9 - x->began;
    struct stats_series *s =
        find(x->route, method_of(x->method), (uint16_t)status);
    int i;

    s->count++;
    s->seconds += took > 0 ? took : 0;
    for (i = 0; i < STATS_BUCKETS; i++)
        if (took <= stats_bounds[i]) {
            s->buckets[i]++;
            return;
        }
}

const struct stats_series *stats_at(unsigned i)
{
    return i < used ? &series[i] : NULL;
}
