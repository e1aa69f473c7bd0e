/* HTTP/2 as a whole (http/h2.h): a connection over a wire of our own
 * (conn_wire.h), a client that sends what the text says (h2_client.h) and reads
 * the answers strictly (h2_answers.h), and a handler that does what the script
 * says (conn_app.h), which is also when bytes arrive and leave, time passes,
 * and either side ends (conn_script.h). However that goes, in the end
 * everything that was begun is over, nothing is left, an idle connection still
 * serves, and a client that says no more does not keep its connection. */
#include "conn_script.h"
#include "h2_answers.h"
#include "http/h1.h"
#include "http/h2_stream.h"

enum {
    FRAMED = 1,     /* settings: the text is records */
    FROM_H1 = 32,   /* the preface comes to HTTP/1 */
    NO_TIMEOUTS = 3 /* the choice of limits */
};

static unsigned limits_choice(unsigned settings)
{
    return settings >> 1 & 3;
}

static struct h2 *session(void)
{
    return wire.c != NULL && wire.c->protocol == &h2_protocol ? wire.c->state
                                                              : NULL;
}

/* What is open waits for the client: for its body, or its windows. */
static void check_waiting(void)
{
    FUZZ_CHECK(wire.ready == 0 && wire.c->out.size == 0);
    for (unsigned i = 0; i < app.count; i++) {
        const struct app_request *r = &app.requests[i];

        FUZZ_CHECK(r->is_closed || r->x->ended_out ||
                   (!r->x->ended_in && r->x->reading));
    }
}

/* An idle connection answers one more request. */
static void check_serves(struct h2 *h)
{
    unsigned before = app.count;
    struct bytes last;

    if (h->drain != H2_DRAIN_NONE || h->last_id > 1000000 ||
        h->server->limits.max_header_size < 300)
        return;
    bytes_init(&last);
    client_last(&last, ((uint32_t)h->last_id + 1) | 1);
    wire.unsent = (struct str){last.p, last.n};
    settle();
    FUZZ_CHECK(app.count == before + 1);
    FUZZ_CHECK(app.requests[before].is_closed &&
               app.requests[before].ended_out);
    bytes_clear(&last);
}

/* The client says nothing any more, whatever it has begun. */
static void check_patience(void)
{
    for (int i = 0; i < 12 && wire.c != NULL; i++) {
        wire_wait(301);
        settle();
    }
    FUZZ_CHECK(wire.c == NULL);
}

/* The client ends, and handlers have a little time left. */
static void hang_up(void)
{
    end_input();
    settle();
    for (int i = 0; i < 3 && wire.c != NULL; i++) {
        wire_wait(11);
        settle();
    }
    FUZZ_CHECK(wire.c == NULL);
}

/* What the client has got is of HTTP/2; or HTTP/1 has lost patience with a
 * preface that did not go on, and nothing was begun. */
static void check_answers(void)
{
    struct str out = {wire.out.n ? wire.out.p : "", wire.out.n};

    if (out.n > 0 && out.p[0] == 'H') /* no length of a frame */
        FUZZ_CHECK(app.count == 0);
    else
        answers_check(out, wire.lost == 0 && !wire.write_fails);
}

static void finish(struct server *s, bool ends_whole, unsigned settings)
{
    settle();
    if (wire.c != NULL && !wire.c->finishing)
        check_waiting();
    if (session() != NULL && ends_whole && !wire.eof && !wire.read_fails &&
        !wire.write_fails && wire.c->protocol->is_idle(wire.c))
        check_serves(session());
    if (limits_choice(settings) != NO_TIMEOUTS && settings & 16)
        check_patience();
    else
        hang_up();
    FUZZ_CHECK(app.disconnects == 1 && s->count == 0 && s->idle == 0);
    FUZZ_CHECK(list_empty(&s->conns) && list_empty(&wire.loop->deferred));
    for (unsigned i = 0; i < app.count; i++) {
        FUZZ_CHECK(app.requests[i].is_closed);
        if (app.requests[i].x != NULL)
            app_free(&app.requests[i]);
    }
    check_answers();
    FUZZ_CHECK(app.pieces == 0 && exchange_count() == 0);
    server_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_open(data, size);
    unsigned settings = fuzz_take(&in);
    struct bytes made;
    struct server *server;
    struct str text;
    char *copy;
    bool from_h1;

    bytes_init(&made);
    if (settings & FRAMED)
        client_records(&made, in.text);
    else if (in.text.n > 0)
        bytes_append(&made, in.text.p, in.text.n);
    copy = fuzz_copy((struct str){made.p, made.n});
    text = (struct str){copy, made.n};
    from_h1 = settings & FROM_H1 && str_starts(text, client_preface);
    app.script = &in;
    app.is_fixed = false;
    server =
        open_all(text, settings & ~9u, from_h1 ? &h1_protocol : &h2_protocol,
                 from_h1 ? h1_start : h2_start);
    run_script(server, &in);
    finish(server, client_is_whole(text), settings);
    bytes_clear(&wire.out);
    bytes_clear(&made);
    mem_free(copy);
    return 0;
}
