/* The event loop of the process: libev, and the work that waits for the end of
 * the current turn. A turn is: run what was deferred, poll, call back. Nothing
 * blocks it. Used by everything that does input or output. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <ev.h>
#include <stdbool.h>

#include "base/list.h"

enum { LOOP_SCRATCH_SIZE = 64 * 1024 }; /* bytes of the shared read buffer */

struct loop {
    struct ev_loop *ev;
    struct ev_check check;
    double now; /* seconds of the monotonic clock when the turn began */
    struct list deferred;
    bool stopped;
    char *scratch; /* read buffer that all connections share within a turn */
};

/* Something to do at the end of the turn; embedded in what it is done to. */
struct defer {
    struct list link;
    void (*fn)(struct defer *self);
};

/* Returns the process's loop, or NULL with a line on standard error where the
 * kernel gives none. */
struct loop *loop_new(void);

/* Frees the loop; nothing may be registered any more. */
void loop_free(struct loop *loop);

/* The version of libev, as text. */
const char *loop_library(void);

/* Turns until nothing is registered and nothing is deferred, or loop_stop. */
void loop_run(struct loop *loop);

/* Makes loop_run return after the current turn. */
void loop_stop(struct loop *loop);

/* Makes d (borrowed) inert, to call fn at the end of a turn when asked. */
void loop_defer_init(struct defer *d, void (*fn)(struct defer *self));

/* Has d called at the end of this turn (of the next one where it is called
 * while the deferred run); does nothing where it already waits. */
void loop_defer(struct loop *loop, struct defer *d);

/* Takes d back. */
static inline void loop_undefer(struct defer *d)
{
    list_remove(&d->link);
}

/* Seconds of the monotonic clock, as they were when the turn began. */
static inline double loop_now(const struct loop *loop)
{
    return loop->now;
}

/* Seconds since 1970 by the wall clock, as they were when the turn began. */
static inline double loop_wall(const struct loop *loop)
{
    return ev_now(loop->ev);
}

#endif
