/* A point in time by which something must have happened, moved forward often
 * and reached rarely: moving it is a store. Embedded in connections and
 * exchanges; calls fn when it passes. Times are seconds. */
#ifndef NET_DEADLINE_H
#define NET_DEADLINE_H

#include "net/loop.h"

struct deadline {
    struct ev_timer timer;
    struct loop *loop;
    double at; /* loop time; 0: none */
    void (*fn)(struct deadline *self);
};

/* Makes d a deadline that is not set. fn may free what d is embedded in. */
void deadline_init(struct deadline *d, struct loop *loop,
                   void (*fn)(struct deadline *self));

/* Sets d to the given loop time; 0 unsets it. */
void deadline_at(struct deadline *d, double at);

/* Sets d to so many seconds from now; 0 unsets it. */
static inline void deadline_in(struct deadline *d, double seconds)
{
    deadline_at(d, seconds > 0 ? loop_now(d->loop) + seconds : 0);
}

/* Unsets d and lets go of the loop; must be called before d is freed. */
void deadline_clear(struct deadline *d);

#endif
