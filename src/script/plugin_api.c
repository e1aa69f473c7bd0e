/* Thin: each function of the table is what the rest of script/ uses itself,
 * with its struct made here, so that modules know none of them. What is freed
 * while its own callback runs is freed when that returns. */
#include "script/plugin_api.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/deadline.h"
#include "script/call.h"
#include "script/context.h"
#include "script/plugin.h"
#include "script/script.h"
#include "script/wait.h"

/* ---- waits */

struct plugin_wait {
    struct list link; /* of its context's, while that may end it */
    struct wait wait;
    struct context *context;
    void (*on_over)(void *arg, const char *why);
    void *arg;
    const char *over; /* why nobody is to get the result */
};

static struct plugin_wait *
begin_wait(lua_State *L, int i, void (*on_over)(void *arg, const char *why),
           void *arg)
{
    struct call *current = script_state.current;
    struct plugin_wait *w;
    struct wait wait;

    wait_begin(L, &wait, i);
    w = mem_alloc(sizeof *w);
    w->wait = wait;
    w->context = current != NULL ? current->context : NULL;
    w->on_over = on_over;
    w->arg = arg;
    w->over = NULL;
    list_init(&w->link);
    if (w->context != NULL)
        list_push(&w->context->outside, &w->link);
    return w;
}

static int return_wait(lua_State *L, struct plugin_wait *w)
{
    return wait_return(L, &w->wait);
}

static void settle_wait(struct plugin_wait *w,
                        int (*push)(lua_State *L, void *arg), void *arg)
{
    struct wait wait = w->wait;
    const char *over = w->over;

    list_remove(&w->link);
    mem_free(w);
    if (over != NULL)
        wait_fail(&wait, over, NULL);
    else
        wait_settle(&wait, push, arg);
}

static void forget_wait(struct plugin_wait *w)
{
    list_remove(&w->link);
    mem_free(w);
}

static void push_error(lua_State *L, const char *message, const char *code)
{
    wait_push_error(L, message, code, NULL, NULL);
}

/* The owner is told first: the coroutine that goes on may end what it waited
 * for, and so settle the wait. */
static void end_wait(struct plugin_wait *w, const char *why)
{
    struct list ending;
    struct wait wait;

    list_init(&ending);
    list_push(&ending, &w->link);
    w->over = why;
    if (w->on_over != NULL)
        w->on_over(w->arg, why);
    if (list_shift(&ending) == NULL)
        return; /* settled, and freed */
    wait = w->wait;
    memset(&w->wait, 0, sizeof w->wait);
    wait_fail(&wait, why, NULL);
}

void plugin_api_over(struct context *c, const char *why)
{
    struct list *at;

    c->gone = why;
    while ((at = list_shift(&c->outside)) != NULL)
        end_wait(LIST_ITEM(at, struct plugin_wait, link), why);
}

/* ---- work */

struct errand {
    struct job job;
    void (*run)(void *arg);
    void (*done)(void *arg, bool cancelled);
    void *arg;
};

static void run_errand(struct job *job)
{
    struct errand *e = LIST_ITEM(job, struct errand, job);

    e->run(e->arg);
}

static void errand_done(struct job *job)
{
    struct errand *e = LIST_ITEM(job, struct errand, job);

    e->done(e->arg, job->cancelled);
    mem_free(e);
}

static void work(void (*run)(void *arg),
                 void (*done)(void *arg, bool cancelled), void *arg)
{
    struct errand *e = mem_zalloc(sizeof *e);

    e->run = run;
    e->done = done;
    e->arg = arg;
    e->job.run = run_errand;
    e->job.done = errand_done;
    work_submit(script_state.work, &e->job);
}

static void post(void (*done)(void *arg, bool cancelled), void *arg)
{
    struct errand *e = mem_zalloc(sizeof *e);

    e->done = done;
    e->arg = arg;
    e->job.done = errand_done;
    work_post(script_state.work, &e->job);
}

/* ---- descriptors */

struct plugin_watch {
    struct ev_io io;
    void (*on_event)(void *arg, int events);
    void *arg;
    bool loose,
        lowered; /* keeps nothing running; the loop's count was lowered */
    bool inside, freed;
};

/* Has the loop's count of what keeps it running be without w, or not. */
static void lower_watch(struct plugin_watch *w, bool lowered)
{
    if (w->lowered == lowered)
        return;
    w->lowered = lowered;
    if (lowered)
        ev_unref(script_state.loop->ev);
    else
        ev_ref(script_state.loop->ev);
}

static void on_io(struct ev_loop *ev, struct ev_io *io, int revents)
{
    struct plugin_watch *w = LIST_ITEM(io, struct plugin_watch, io);

    (void)ev;
    w->inside = true;
    w->on_event(w->arg, (revents & EV_READ ? PLUGIN_READ : 0) |
                            (revents & EV_WRITE ? PLUGIN_WRITE : 0));
    w->inside = false;
    if (w->freed)
        mem_free(w);
}

static struct plugin_watch *
watch_new(int fd, void (*on_event)(void *arg, int events), void *arg)
{
    struct plugin_watch *w = mem_zalloc(sizeof *w);

    ev_io_init(&w->io, on_io, fd, 0);
    w->on_event = on_event;
    w->arg = arg;
    return w;
}

static void watch_set(struct plugin_watch *w, int events)
{
    int wanted = (events & PLUGIN_READ ? EV_READ : 0) |
                 (events & PLUGIN_WRITE ? EV_WRITE : 0);

    if (ev_is_active(&w->io) && (w->io.events & (EV_READ | EV_WRITE)) == wanted)
        return;
    lower_watch(w, false);
    ev_io_stop(script_state.loop->ev, &w->io);
    ev_io_set(&w->io, w->io.fd, wanted);
    if (wanted == 0)
        return;
    ev_io_start(script_state.loop->ev, &w->io);
    lower_watch(w, w->loose);
}

static void watch_keep(struct plugin_watch *w, bool keeps)
{
    w->loose = !keeps;
    lower_watch(w, w->loose && ev_is_active(&w->io));
}

static void watch_free(struct plugin_watch *w)
{
    if (w == NULL)
        return;
    lower_watch(w, false);
    ev_io_stop(script_state.loop->ev, &w->io);
    w->freed = true;
    if (!w->inside)
        mem_free(w);
}

/* ---- timers */

struct plugin_timer {
    struct ev_timer timer;
    void (*on_time)(void *arg);
    void *arg;
    bool keeps, counted, inside, freed;
};

/* Takes a timer that is no reason to live out of libev's count, or back. */
static void count(struct plugin_timer *t, bool counted)
{
    if (t->keeps || t->counted == counted)
        return;
    t->counted = counted;
    if (counted)
        ev_unref(script_state.loop->ev);
    else
        ev_ref(script_state.loop->ev);
}

static void on_timer(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
    struct plugin_timer *t = LIST_ITEM(timer, struct plugin_timer, timer);

    (void)ev, (void)revents;
    count(t, false);
    t->inside = true;
    t->on_time(t->arg);
    t->inside = false;
    if (t->freed)
        mem_free(t);
}

static struct plugin_timer *timer_new(void (*on_time)(void *arg), void *arg,
                                      bool keeps)
{
    struct plugin_timer *t = mem_zalloc(sizeof *t);

    ev_timer_init(&t->timer, on_timer, 0., 0.);
    t->on_time = on_time;
    t->arg = arg;
    t->keeps = keeps;
    return t;
}

static void timer_set(struct plugin_timer *t, double seconds)
{
    count(t, false);
    ev_timer_stop(script_state.loop->ev, &t->timer);
    if (seconds < 0)
        return;
    ev_timer_set(&t->timer, seconds, 0.);
    ev_timer_start(script_state.loop->ev, &t->timer);
    count(t, true);
}

static void timer_free(struct plugin_timer *t)
{
    if (t == NULL)
        return;
    timer_set(t, -1);
    t->freed = true;
    if (!t->inside)
        mem_free(t);
}

/* ---- Lua */

static void later(lua_State *L, int n)
{
    call_later(L, NULL, n);
}

static void *memory(void *p, size_t n)
{
    if (n > 0)
        return mem_realloc(p, n);
    mem_free(p);
    return NULL;
}

static void log_line(const char *text)
{
    log_error("%s", text);
}

void plugin_api_open(lua_State *L)
{
    static const struct plugin plugin = {
        .version = PLUGIN_VERSION,
        .wait_begin = begin_wait,
        .wait_return = return_wait,
        .wait_settle = settle_wait,
        .wait_forget = forget_wait,
        .push_error = push_error,
        .work = work,
        .post = post,
        .watch_new = watch_new,
        .watch_set = watch_set,
        .watch_keep = watch_keep,
        .watch_free = watch_free,
        .timer_new = timer_new,
        .timer_set = timer_set,
        .timer_free = timer_free,
        .call_later = later,
        .thread = script_thread,
        .memory = memory,
        .log = log_line,
    };

    lua_pushlightuserdata(L, (void *)(uintptr_t)&plugin);
    lua_setfield(L, LUA_REGISTRYINDEX, PLUGIN_KEY);
}
