/* HTTP/1 as a whole (http/h1.h): a connection over a wire of our own
 * (conn_wire.h), a handler that does what the script says (conn_app.h), and a
 * client that reads the answers strictly (h1_answers.h). The text is what the
 * client sends; the script begins with the settings, then says when bytes
 * arrive and leave, time passes, either side ends, and what the handler does
 * meanwhile. However that goes, in the end everything that was begun is over,
 * nothing is left, and an idle connection still serves. With fixed policies for
 * the handler, the same text is sent at once and in pieces, and must lead to
 * the same requests and the same answers. */
#include "conn_script.h"
#include "h1_answers.h"
#include "http/h1.h"

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
    struct server *s = open_all(text, settings, &h1_protocol, h1_start);

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
        struct server *server = open_all(s, settings, &h1_protocol, h1_start);

        run_script(server, &in);
        finish(server);
    }
    bytes_clear(&wire.out);
    bytes_clear(&app.story);
    mem_free(text);
    return 0;
}
