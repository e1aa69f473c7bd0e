/* The libev timer underneath is left alone while the deadline only moves away:
 * when it fires early it is started again for the rest. A keep-alive connection
 * so costs one timer operation per timeout, not several per request. */
#include "net/deadline.h"

static void on_timer(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct deadline *d =
        (struct deadline *)(void *)((char *)timer -
                                    offsetof(struct deadline, timer));
    double rest = d->at - loop_now(d->loop);

    (void)events;
    if (d->at == 0)
        return;
    if (rest > 0.0005) {
        ev_timer_set(timer, rest, 0);
        ev_timer_start(ev, timer);
        return;
    }
    d->at = 0;
    d->fn(d);
}

void deadline_init(struct deadline *d, struct loop *loop,
                   void (*fn)(struct deadline *self))
{
    ev_timer_init(&d->timer, on_timer, 0, 0);
    d->loop = loop;
    d->at = 0;
    d->fn = fn;
}

void deadline_at(struct deadline *d, double at)
{
    struct ev_loop *ev = d->loop->ev;
    double rest = at - loop_now(d->loop);

    d->at = at;
    if (at == 0)
        return;
    if (ev_is_active(&d->timer)) {
        if (ev_timer_remaining(ev, &d->timer) <= rest + 0.0005)
            return;
        ev_timer_stop(ev, &d->timer);
    }
    ev_timer_set(&d->timer, rest > 0 ? rest : 0, 0);
    ev_timer_start(ev, &d->timer);
}

void deadline_clear(struct deadline *d)
{
    d->at = 0;
    ev_timer_stop(d->loop->ev, &d->timer);
}
