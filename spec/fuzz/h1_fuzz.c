/* HTTP/1 as a whole (http/h1.h): a connection over a wire of our own
 * (h1_wire.h), a handler that does what the script says (h1_app.h), and a
 * client that reads the answers strictly (h1_answers.h). The text is what the
 * client sends; the script begins with the settings, then says when bytes
 * arrive and leave, time passes, either side ends, and what the handler does
 * meanwhile. However that goes, in the end everything that was begun is over,
 * nothing is left, and an idle connection still serves. With fixed policies for
 * the handler, the same text is sent at once and in pieces, and must lead to
 * the same requests and the same answers. */
#include "h1_answers.h"
#include "h1_wire.h"
#include "http/h1.h"

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
static struct server *open_all(struct str text, unsigned settings)
{
    struct limits limits = limits_of(settings >> 1 & 3);
    struct server *s;

    if (wire.loop == NULL)
        wire_begin();
    server_limit_all(UINT64_MAX);
    s = server_new(wire.loop, &limits, &app_handler, NULL);
    s->tells_refusals = settings >> 3 & 1;
    s->takes_upgrades = settings >> 4 & 1;
    wire_open(text, &h1_protocol, &s->conns);
    wire.c->owner = s;
    wire.c->app = &app;
    s->count++;
    s->idle++;
    app.count = app.disconnects = 0;
    app.is_settling = false;
    h1_start(wire.c);
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

/* What is open waits for the client. */
static void check_waiting(void)
{
    FUZZ_CHECK(wire.ready == 0 && wire.c->out.size == 0);
    for (unsigned i = 0; i < app.count; i++) {
        const struct app_request *r = &app.requests[i];

        FUZZ_CHECK(r->is_closed || r->x->raw ||
                   (!r->x->ended_in && r->x->reading && !r->x->ended_out));
    }
}

/* An idle connection answers one more request. */
static void check_serves(void)
{
    unsigned before = app.count;

    FUZZ_CHECK(wire.c->in.n == 0);
    wire.unsent = STR("GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    FUZZ_CHECK(app.count == before + 1);
    FUZZ_CHECK(app.requests[before].is_closed &&
               app.requests[before].ended_out);
}

static void finish(struct server *s)
{
    settle();
    if (wire.c != NULL)
        check_waiting();
    if (wire.c != NULL && !wire.eof && !wire.read_fails && !wire.write_fails &&
        wire.c->protocol->is_idle(wire.c))
        check_serves();
    end_input();
    settle();
    FUZZ_CHECK(wire.c == NULL);
    FUZZ_CHECK(app.disconnects == 1 && s->count == 0 && s->idle == 0);
    FUZZ_CHECK(list_empty(&s->conns) && list_empty(&wire.loop->deferred));
    answers_check((struct str){wire.out.n ? wire.out.p : "", wire.out.n},
                  wire.lost == 0 && !wire.write_fails);
    for (unsigned i = 0; i < app.count; i++) {
        FUZZ_CHECK(app.requests[i].is_closed);
        if (app.requests[i].x != NULL)
            app_free(&app.requests[i]);
    }
    FUZZ_CHECK(app.pieces == 0 && exchange_count() == 0);
    server_free(s);
}

/* ---- the same in pieces */

static void append(struct bytes *to, const struct bytes *from)
{
    if (from->n > 0)
        bytes_append(to, from->p, from->n);
}

/* Sends text in pieces of the sizes that the script says, at once behind its
 * end. Adds what came of it to outcome. */
static void run_fixed(struct str text, unsigned settings, struct fuzz_input in,
                      struct bytes *outcome)
{
    struct server *s = open_all(text, settings);

    app.story.n = 0;
    while (in.left > 0) {
        wire_arrive(sizes[fuzz_take(&in) & 31]);
        wire_event();
        wire_turn();
    }
    wire_arrive(SIZE_MAX);
    for (int i = 0; i < 4; i++) {
        wire_event();
        wire_turn();
    }
    finish(s);
    append(outcome, &app.story);
    bytes_append(outcome, "\n", 1);
    append(outcome, &wire.out);
}

static void run_twice(struct str text, unsigned settings,
                      const struct fuzz_input *in)
{
    struct fuzz_input none = {{NULL, 0}, NULL, 0};
    struct bytes whole, split;

    bytes_init(&whole);
    bytes_init(&split);
    run_fixed(text, settings, none, &whole);
    run_fixed(text, settings, *in, &split);
    if (whole.n != split.n || memcmp(whole.p, split.p, whole.n) != 0)
        fprintf(stderr, "at once:\n%.*s\nin pieces:\n%.*s\n", (int)whole.n,
                whole.p, (int)split.n, split.p);
    FUZZ_CHECK(whole.n == split.n && memcmp(whole.p, split.p, whole.n) == 0);
    bytes_clear(&whole);
    bytes_clear(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_open(data, size);
    unsigned settings = fuzz_take(&in);
    char *text;
    struct str s;

    if (str_starts(in.text, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
        return 0; /* HTTP/2 from here on (RFC 9113 3.4) */
    text = fuzz_copy(in.text);
    s = (struct str){text, in.text.n};
    app.script = &in;
    app.is_fixed = settings & 1;
    if (app.is_fixed) {
        app.policy = fuzz_take(&in);
        run_twice(s, settings, &in);
    } else {
        struct server *server = open_all(s, settings);

        run_script(server, &in);
        finish(server);
    }
    bytes_clear(&wire.out);
    bytes_clear(&app.story);
    mem_free(text);
    return 0;
}
