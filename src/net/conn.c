/* One ev_io watcher a connection, for reading all the time and for writing only
 * after a short write. Interest in reading is dropped lazily: a paused
 * connection keeps its watcher until the peer really sends more, so that the
 * usual pause and resume within a turn cost no system call. Reads go to one
 * buffer that all connections share; only what a protocol leaves unused is
 * copied, so an idle connection has no buffers. */
#include "net/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static void conn_turn(struct conn *c);

static void watch(struct conn *c, int events)
{
    if (c->io.events == events && (events == 0 || ev_is_active(&c->io)))
        return;
    ev_io_stop(c->loop->ev, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events)
        ev_io_start(c->loop->ev, &c->io);
}

static void watch_add(struct conn *c, int events)
{
    watch(c, (c->io.events & (EV_READ | EV_WRITE)) | events);
}

static void watch_drop(struct conn *c, int events)
{
    watch(c, (c->io.events & (EV_READ | EV_WRITE)) & ~events);
}

/* Has conn_turn called before the loop polls again. */
static void turn_later(struct conn *c)
{
    if (!c->in_event)
        loop_defer(c->loop, &c->turn);
}

static void destroy(struct conn *c)
{
    if (c->protocol->on_close != NULL)
        c->protocol->on_close(c);
    loop_undefer(&c->turn);
    buf_clear(&c->out);
    bytes_clear(&c->in);
    mem_free(c);
}

/* Gives n bytes at p to the protocol; keeps what it leaves. */
static void feed_fresh(struct conn *c, char *p, size_t n)
{
    size_t used;

    c->feeding = true;
    used = c->protocol->on_data(c, p, n);
    c->feeding = false;
    if (!c->dead && used < n)
        bytes_append(&c->in, p + used, n - used);
}

void conn_feed(struct conn *c)
{
    size_t used;

    c->again = false;
    if (c->in.n == 0 || c->feeding || c->dead)
        return;
    c->feeding = true;
    used = c->protocol->on_data(c, c->in.p, c->in.n);
    c->feeding = false;
    bytes_consume(&c->in, used);
    if (c->in.n == 0)
        bytes_clear(&c->in);
}

/* Goes on with the transport's handshake. Returns whether the protocol may have
 * bytes now. */
static bool shake_hands(struct conn *c)
{
    switch (c->transport->handshake(c)) {
    case IO_OK:
        c->handshaking = false;
        c->protocol->on_open(c);
        return c->buffered;
    case IO_EOF:
        c->handshaking = false;
        conn_finish(c, CONN_LINGER_SECONDS);
        return false;
    case IO_AGAIN:
        return false;
    default:
        conn_close(c);
        return false;
    }
}

/* Reads once; returns false where there is nothing more to read now. */
static bool read_once(struct conn *c)
{
    bool fresh = c->in.n == 0;
    char *p = fresh ? c->loop->scratch : bytes_reserve(&c->in, 16384);
    size_t room = fresh ? LOOP_SCRATCH_SIZE : 16384, got = 0;

    switch (c->transport->read(c, p, room, &got)) {
    case IO_AGAIN:
        return false;
    case IO_ERROR:
        conn_close(c);
        return false;
    case IO_EOF:
        c->eof = true;
        watch_drop(c, EV_READ);
        c->protocol->on_eof(c);
        return false;
    case IO_OK:
        break;
    }
    if (fresh) {
        feed_fresh(c, p, got);
    } else {
        bytes_commit(&c->in, got);
        conn_feed(c);
    }
    return got == room || c->buffered;
}

/* After the answer: reads away what the peer still sends, within bounds. */
static void discard(struct conn *c)
{
    size_t got = 0;
    int i;

    for (i = 0; i < CONN_READS; i++) {
        enum io io =
            c->transport->read(c, c->loop->scratch, LOOP_SCRATCH_SIZE, &got);

        if (io == IO_AGAIN)
            return;
        c->lingered += (uint32_t)got;
        if (io != IO_OK || c->lingered > CONN_LINGER_BYTES) {
            conn_close(c);
            return;
        }
    }
}

static void on_readable(struct conn *c)
{
    int i;

    if (c->lingering) {
        discard(c);
        return;
    }
    for (i = 0; i < CONN_READS && !c->dead; i++) {
        if (c->paused) {
            watch_drop(c, EV_READ);
            return;
        }
        if (c->handshaking && !shake_hands(c))
            return;
        if (!read_once(c))
            return;
    }
    if (c->buffered && !c->paused)
        c->again = true; /* the socket will not tell of it */
}

/* After a resume: what was kept comes first, then what the transport keeps. */
static void take_kept(struct conn *c)
{
    conn_feed(c);
    if ((c->buffered || c->handshaking) && !c->paused && !c->eof && !c->dead)
        on_readable(c);
}

/* Whether output waits for the socket. */
static bool is_waiting(const struct conn *c)
{
    return c->out.size > 0 || c->unsent;
}

/* Bytes that the kernel has taken and the peer has not. */
static uint64_t kernel_queue(const struct conn *c)
{
    int n = 0;

    return ioctl(c->io.fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

/* Output is stuck: the peer must take something, and at some rate. What counts
 * is what leaves the kernel's queue, since the socket becomes writable only
 * when a third of that is free: minutes, for a slow but honest reader. */
static void arm_stall(struct conn *c)
{
    if (c->write_timeout <= 0 || c->stall.at != 0)
        return;
    c->stall_since = loop_now(c->loop);
    c->stall_sent = 0;
    c->stall_queue = kernel_queue(c);
    deadline_in(&c->stall, c->write_timeout);
}

static void on_stall(struct deadline *d)
{
    struct conn *c = LIST_ITEM(d, struct conn, stall);
    double span = loop_now(c->loop) - c->stall_since;
    uint64_t taken;

    if (!is_waiting(c))
        return;
    taken = c->stall_queue + c->stall_sent - kernel_queue(c);
    if ((double)taken < CONN_MIN_RATE * span)
        conn_reset(c);
    else
        arm_stall(c);
}

/* Writes what is at the front of the queue; *filed counts what of it came from
 * files. */
static enum io write_front(struct conn *c, size_t *sent, size_t *filed)
{
    struct iovec iov[CONN_IOV];
    struct buf_range range;
    enum io io;
    int count, i;
    size_t size = 0;

    if (buf_front_range(&c->out, &range)) {
        if (range.n > CONN_FILE_BYTES)
            range.n = CONN_FILE_BYTES;
        if (*filed >= CONN_FILE_BYTES)
            return IO_AGAIN; /* the others' turn; the socket will call again */
        io = c->transport->send_file(c, &range, sent);
        if (io == IO_OK && *sent == 0) { /* the file has shrunk meanwhile */
            conn_reset(c);
            return IO_ERROR;
        }
        *filed += *sent;
        return io;
    }
    count = buf_iov(&c->out, iov, CONN_IOV);
    for (i = 0; i < count; i++)
        size += iov[i].iov_len;
    c->more = size < c->out.size;
    return c->transport->write(c, iov, count, sent);
}

void conn_flush(struct conn *c)
{
    size_t sent, filed = 0;

    while (is_waiting(c) && !c->dead) {
        sent = 0;
        switch (write_front(c, &sent, &filed)) {
        case IO_OK:
            c->stall_sent += sent;
            buf_consume(&c->out, sent);
            continue;
        case IO_AGAIN:
            watch_add(c, EV_WRITE);
            arm_stall(c);
            return;
        default:
            conn_close(c);
            return;
        }
    }
    if (c->io.events & EV_WRITE) {
        watch_drop(c, EV_WRITE);
        deadline_at(&c->stall, 0);
    }
}

/* All output has left and no more is to come. */
static void finished(struct conn *c)
{
    if (c->lingering)
        return;
    if (c->transport->farewell != NULL && !c->handshaking)
        c->transport->farewell(c);
    if (c->linger == 0 || c->eof) {
        conn_close(c);
        return;
    }
    c->lingering = true;
    c->transport->shutdown(c);
    deadline_in(&c->deadline, c->linger);
    watch_add(c, EV_READ);
}

/* Everything that waited for the end of the turn; may free c. */
static void conn_turn(struct conn *c)
{
    int rounds;

    for (rounds = 0; !c->dead && rounds < CONN_READS; rounds++) {
        if (c->again && !c->finishing)
            take_kept(c);
        if (!c->dead && c->want_flush) {
            c->want_flush = false;
            c->protocol->on_flush(c);
        }
        if (!c->dead && is_waiting(c) && !(c->io.events & EV_WRITE))
            conn_flush(c);
        if (c->dead || is_waiting(c))
            break;
        if (c->want_drain) {
            c->want_drain = false;
            c->protocol->on_drain(c);
        } else if (!c->again || c->finishing) {
            break;
        }
    }
    if (!c->dead && c->finishing && !is_waiting(c))
        finished(c);
    if (c->dead)
        destroy(c);
    else if (rounds == CONN_READS)
        loop_defer(c->loop, &c->turn);
}

static void on_turn(struct defer *d)
{
    struct conn *c = LIST_ITEM(d, struct conn, turn);

    conn_turn(c);
}

static void on_io(struct ev_loop *ev, struct ev_io *io, int events)
{
    struct conn *c = LIST_ITEM(io, struct conn, io);

    (void)ev;
    c->in_event = true;
    if (events & EV_WRITE)
        conn_flush(c);
    if ((events & EV_READ) && !c->dead)
        on_readable(c);
    c->in_event = false;
    conn_turn(c);
}

static void on_deadline(struct deadline *d)
{
    struct conn *c = LIST_ITEM(d, struct conn, deadline);

    if (c->lingering)
        conn_close(c);
    else
        c->protocol->on_deadline(c);
}

struct conn *conn_open(struct loop *loop, int fd, const struct addr *peer,
                       const struct transport *transport,
                       const struct protocol *protocol, struct list *list)
{
    struct conn *c = mem_zalloc(sizeof *c);
    size_t len = peer->len < sizeof c->peer ? peer->len : sizeof c->peer;

    c->loop = loop;
    c->transport = transport;
    c->handshaking = transport->handshake != NULL;
    c->protocol = protocol;
    memcpy(&c->peer, &peer->sa, len);
    buf_init(&c->out);
    loop_defer_init(&c->turn, on_turn);
    deadline_init(&c->deadline, loop, on_deadline);
    deadline_init(&c->stall, loop, on_stall);
    list_push(list, &c->link);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    ev_io_start(loop->ev, &c->io);
    return c;
}

struct buf *conn_out(struct conn *c)
{
    turn_later(c);
    return &c->out;
}

void conn_pause(struct conn *c)
{
    c->paused = true;
}

void conn_resume(struct conn *c)
{
    if (c->dead)
        return;
    c->paused = false;
    if (!c->eof)
        watch_add(c, EV_READ);
    c->again = true;
    turn_later(c);
}

void conn_switch(struct conn *c, const struct protocol *protocol, void *state)
{
    c->protocol = protocol;
    c->state = state;
}

void conn_want_flush(struct conn *c)
{
    c->want_flush = true;
    turn_later(c);
}

void conn_want_drain(struct conn *c)
{
    c->want_drain = true;
    turn_later(c);
}

void conn_finish(struct conn *c, unsigned linger)
{
    c->finishing = true;
    if (linger > c->linger)
        c->linger = (uint8_t)linger;
    turn_later(c);
}

bool conn_has_input(const struct conn *c)
{
    char byte;

    return !c->dead && (c->buffered ||
                        recv(c->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
}

void conn_close(struct conn *c)
{
    if (c->dead)
        return;
    c->dead = true;
    c->transport->close(c);
    ev_io_stop(c->loop->ev, &c->io);
    close(c->io.fd);
    deadline_clear(&c->deadline);
    deadline_clear(&c->stall);
    list_remove(&c->link);
    loop_defer(c->loop, &c->turn);
}

void conn_reset(struct conn *c)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    if (c->dead)
        return;
    setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    conn_close(c);
}

void conn_peer(const struct conn *c, struct addr *out)
{
    *out = (struct addr){.len = sizeof c->peer};
    memcpy(&out->sa, &c->peer, sizeof c->peer);
    if (c->peer.sa.sa_family == AF_INET)
        out->len = sizeof c->peer.in4;
}

void conn_local(const struct conn *c, struct addr *out)
{
    *out = (struct addr){.len = sizeof out->sa};
    if (c->dead ||
        getsockname(c->io.fd, (struct sockaddr *)&out->sa, &out->len) < 0)
        out->len = 0;
}
