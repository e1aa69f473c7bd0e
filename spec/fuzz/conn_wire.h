/* What carries the connection that h1_fuzz.c or h2_fuzz.c talks on: a transport
 * without a socket, whose reads and writes go as far as the script lets them,
 * and a loop that is turned by hand, with a clock of its own. So a run depends
 * on nothing but its input. */
#ifndef SPEC_FUZZ_CONN_WIRE_H
#define SPEC_FUZZ_CONN_WIRE_H

#include <unistd.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "net/conn.h"

static struct {
    struct loop *loop;
    int pipe[2];       /* its reading end stands for the socket */
    struct conn *c;    /* NULL once it is closed */
    struct str unsent; /* of what the client sends */
    size_t ready;      /* bytes of it that have arrived */
    size_t room;       /* bytes that the client would take */
    bool eof, read_fails, write_fails;
    bool shut;        /* the server has ended its side */
    size_t lost;      /* output that was dropped when it closed */
    struct bytes out; /* what the client has got */
} wire;

static enum io wire_read(struct conn *c, char *p, size_t n, size_t *got)
{
    FUZZ_CHECK(c == wire.c && n > 0);
    if (wire.read_fails)
        return IO_ERROR;
    if (wire.ready == 0)
        return wire.eof ? IO_EOF : IO_AGAIN;
    *got = wire.ready < n ? wire.ready : n;
    memcpy(p, wire.unsent.p, *got);
    wire.unsent = str_skip(wire.unsent, *got);
    wire.ready -= *got;
    return IO_OK;
}

static enum io wire_write(struct conn *c, const struct iovec *iov, int count,
                          size_t *sent)
{
    FUZZ_CHECK(c == wire.c && !wire.shut && count > 0 && count <= CONN_IOV);
    if (wire.write_fails)
        return IO_ERROR;
    if (wire.room == 0)
        return IO_AGAIN;
    *sent = 0;
    for (int i = 0; i < count && wire.room > 0; i++) {
        size_t n = iov[i].iov_len < wire.room ? iov[i].iov_len : wire.room;

        FUZZ_CHECK(iov[i].iov_len > 0);
        bytes_append(&wire.out, iov[i].iov_base, n);
        wire.room -= n;
        *sent += n;
    }
    return IO_OK;
}

static void wire_shutdown(struct conn *c)
{
    FUZZ_CHECK(c == wire.c && !wire.shut);
    wire.shut = true;
}

static void wire_close(struct conn *c)
{
    FUZZ_CHECK(c == wire.c);
    wire.lost = c->out.size;
    wire.c = NULL;
}

static const struct transport wire_transport = {
    .read = wire_read,
    .write = wire_write,
    .shutdown = wire_shutdown,
    .close = wire_close,
};

/* ---- the loop */

static void wire_stop(struct defer *d)
{
    (void)d;
    loop_stop(wire.loop);
}

/* Runs what was deferred, without polling. */
static void wire_turn(void)
{
    struct defer stop;

    loop_defer_init(&stop, wire_stop);
    loop_defer(wire.loop, &stop);
    loop_run(wire.loop);
}

/* The socket is readable or writable, if anybody wants to know. */
static void wire_event(void)
{
    struct conn *c = wire.c;

    if (c != NULL && (c->io.events & EV_WRITE) != 0 &&
        (wire.room > 0 || wire.write_fails))
        ev_invoke(wire.loop->ev, &c->io, EV_WRITE);
    c = wire.c;
    if (c != NULL && (c->io.events & EV_READ) != 0 &&
        (wire.ready > 0 || wire.eof || wire.read_fails))
        ev_invoke(wire.loop->ev, &c->io, EV_READ);
}

static void wire_due(struct deadline *d)
{
    if (d->at == 0 || d->at > wire.loop->now)
        return;
    ev_timer_stop(wire.loop->ev, &d->timer);
    ev_invoke(wire.loop->ev, &d->timer, EV_TIMER);
}

/* Time passes. */
static void wire_wait(double seconds)
{
    wire.loop->now += seconds;
    if (wire.c != NULL)
        wire_due(&wire.c->deadline);
    if (wire.c != NULL)
        wire_due(&wire.c->stall);
}

/* The next n bytes of the client arrive. */
static void wire_arrive(size_t n)
{
    size_t most = wire.unsent.n - wire.ready;

    wire.ready += n < most ? n : most;
}

/* Once for the process. */
static void wire_begin(void)
{
    wire.loop = loop_new();
    FUZZ_CHECK(wire.loop != NULL && pipe(wire.pipe) == 0);
}

/* Opens a connection on which the client will send text. */
static void wire_open(struct str text, const struct protocol *protocol,
                      struct list *list)
{
    struct addr peer = {.len = 0};

    wire.loop->now = 1000;
    wire.unsent = text;
    wire.ready = wire.lost = wire.out.n = 0;
    wire.room = SIZE_MAX;
    wire.eof = wire.read_fails = wire.write_fails = wire.shut = false;
    wire.c = conn_open(wire.loop, dup(wire.pipe[0]), &peer, &wire_transport,
                       protocol, list);
    wire.c->write_timeout = 60;
}

#endif
