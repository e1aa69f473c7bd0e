/* libev's own prepare watchers would do for the end of a turn, but a loop that
 * ends because nothing is left would skip them; so each turn is one ev_run of
 * its own, with the deferred work before it. Work deferred by deferred work
 * waits for the next turn, which then only polls: input is never starved. */
#include "net/loop.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

/* ev_now is the wall clock, which may jump; deadlines must not. */
static void on_check(struct ev_loop *ev, struct ev_check *check, int events)
{
    struct loop *loop = LIST_ITEM(check, struct loop, check);

    (void)ev;
    (void)events;
    loop->now = (double)clock_monotonic() / 1e9;
}

struct loop *loop_new(void)
{
    struct ev_loop *ev = ev_default_loop(EVFLAG_NOSIGMASK);
    struct loop *loop;

    if (ev == NULL) {
        fputs("luaserve: the kernel gives no event loop (epoll)\n", stderr);
        return NULL;
    }
    loop = mem_alloc(sizeof *loop);
    loop->ev = ev;
    loop->scratch = mem_alloc(LOOP_SCRATCH_SIZE);
    loop->stopped = false;
    list_init(&loop->deferred);
    ev_check_init(&loop->check, on_check);
    ev_set_priority(&loop->check, EV_MAXPRI);
    ev_check_start(ev, &loop->check);
    ev_unref(ev); /* no reason to go on */
    on_check(ev, &loop->check, 0);
    return loop;
}

const char *loop_library(void)
{
    static char text[16];

    snprintf(text, sizeof text, "%d.%d", ev_version_major(),
             ev_version_minor());
    return text;
}

void loop_free(struct loop *loop)
{
    ev_ref(loop->ev);
    ev_check_stop(loop->ev, &loop->check);
    ev_loop_destroy(loop->ev);
    mem_free(loop->scratch);
    mem_free(loop);
}

void loop_defer_init(struct defer *d, void (*fn)(struct defer *self))
{
    list_init(&d->link);
    d->fn = fn;
}

void loop_defer(struct loop *loop, struct defer *d)
{
    if (list_empty(&d->link))
        list_push(&loop->deferred, &d->link);
}

static void run_deferred(struct loop *loop)
{
    struct list now, *at;

    if (list_empty(&loop->deferred))
        return;
    now = loop->deferred; /* take the whole chain over */
    now.next->prev = now.prev->next = &now;
    list_init(&loop->deferred);
    while ((at = list_shift(&now)) != NULL) {
        struct defer *d = LIST_ITEM(at, struct defer, link);

        d->fn(d);
    }
}

void loop_run(struct loop *loop)
{
    bool active = true;

    while (!loop->stopped && (active || !list_empty(&loop->deferred))) {
        run_deferred(loop);
        if (loop->stopped)
            break;
        active = ev_run(loop->ev, list_empty(&loop->deferred) ? EVRUN_ONCE
                                                              : EVRUN_NOWAIT);
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    ev_break(loop->ev, EVBREAK_ONE);
}
