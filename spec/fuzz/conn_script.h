/* What happens to the connection of h1_fuzz.c and h2_fuzz.c, as the script
 * says: when bytes arrive and leave, time passes, either side ends, and what
 * the handler (conn_app.h) does meanwhile. */
#ifndef SPEC_FUZZ_CONN_SCRIPT_H
#define SPEC_FUZZ_CONN_SCRIPT_H

#include "conn_app.h"
#include "conn_wire.h"

enum { ROUNDS = 4000 }; /* more and the connection runs in circles */

static const size_t sizes[] = {1,   1,   1,   2,   2,   3,    4,    5,
                               6,   7,   8,   10,  12,  15,   18,   20,
                               25,  30,  40,  50,  60,  80,   90,   100,
                               150, 200, 300, 500, 800, 1000, 2000, SIZE_MAX};
static const double times[] = {0.01, 0.5, 1.5, 6, 11, 21, 61, 301};

static struct limits limits_of(unsigned choice)
{
    struct limits limits = LIMITS_DEFAULT;

    if (choice == 1) {
        limits.max_request_line = 40;
        limits.max_header_size = 200;
        limits.max_headers = 4;
        limits.max_trailer_size = 24;
        limits.max_discard = 20;
        limits.max_streams = 3;
    } else if (choice == 2) {
        limits.max_requests = 3;
        limits.min_body_rate = 0;
        limits.max_discard = 0;
    } else if (choice == 3) {
        limits.keep_alive_timeout = limits.headers_timeout = 0;
        limits.request_timeout = limits.handler_timeout = 0;
    }
    return limits;
}

/* Does what server.c does about a connection that was accepted. */
static struct server *open_all(struct str text, unsigned settings,
                               const struct protocol *protocol,
                               void (*start)(struct conn *))
{
    struct limits limits = limits_of(settings >> 1 & 3);
    struct server *s;

    if (wire.loop == NULL)
        wire_begin();
    server_limit_all(UINT64_MAX);
    s = server_new(wire.loop, &limits, &app_handler, NULL);
    s->tells_refusals = settings >> 3 & 1;
    s->takes_upgrades = settings >> 4 & 1;
    wire_open(text, protocol, &s->conns);
    wire.c->owner = s;
    wire.c->app = &app;
    s->count++;
    s->idle++;
    app.count = app.disconnects = 0;
    app.is_settling = false;
    start(wire.c);
    return s;
}

/* ---- the script */

static void end_input(void)
{
    wire.eof = true;
    wire.unsent.n = wire.ready; /* the rest never comes */
}

/* What happens seldom. */
static void do_rarely(struct server *s, unsigned what)
{
    switch (what) {
    case 0:
        end_input();
        break;
    case 1:
        wire.read_fails = true;
        break;
    case 2:
        wire.write_fails = true;
        break;
    case 3:
        server_close(s);
        break;
    case 4:
        server_close_idle(s);
        break;
    case 5:
        server_abort(s);
        break;
    default:
        wire_arrive(sizes[what]);
    }
    wire_event();
}

/* The handler does something to the request that lies back many behind the
 * newest. */
static void act(unsigned back, unsigned what)
{
    struct app_request *r;

    if (back >= app.count)
        return;
    r = &app.requests[app.count - 1 - back];
    if (r->x != NULL)
        app_act(r, what);
}

static void run_script(struct server *s, struct fuzz_input *in)
{
    while (in->left > 0) {
        unsigned op = fuzz_take(in), arg = op >> 3;

        switch (op & 7) {
        case 0:
        case 1:
            wire_arrive(sizes[arg]);
            wire_event();
            if ((op & 1) == 0)
                wire_turn();
            break;
        case 2:
            act(arg & 3, fuzz_take(in));
            break;
        case 3:
            wire.room = arg == 31 ? SIZE_MAX : (size_t)arg * arg * 8;
            wire_event();
            break;
        case 4:
            wire_turn();
            break;
        case 5:
            wire_wait(times[arg & 7]);
            wire_turn();
            break;
        case 6:
            act(0, arg);
            break;
        default:
            do_rarely(s, arg);
        }
    }
}

/* ---- the end */

/* Changes as long as anything happens. */
static uint64_t progress(void)
{
    uint64_t sum = wire.out.n + app.count + wire.unsent.n + wire.ready;

    for (unsigned i = 0; i < app.count; i++)
        sum += app.requests[i].got + app.requests[i].is_closed * 7U;
    return sum * 2 + (wire.c == NULL);
}

/* Lets everything arrive, be answered and leave, until nothing more happens. */
static void settle(void)
{
    unsigned rounds = 0, quiet = 0;

    wire.room = SIZE_MAX;
    wire_arrive(SIZE_MAX);
    while (quiet < 4) {
        uint64_t before = progress();

        app_settle();
        wire_event();
        wire_turn();
        quiet = progress() == before && list_empty(&wire.loop->deferred)
                    ? quiet + 1
                    : 0;
        FUZZ_CHECK(++rounds < ROUNDS);
    }
}

#endif
