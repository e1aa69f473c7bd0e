/* A frame is a head of eight bytes (length, whether a descriptor comes with it)
 * and the text. The kernel never glues bytes that came with descriptors to
 * later ones, and gives them no later than the first byte that they were sent
 * with, so a list of descriptors in order is enough to find a frame's own.
 * Left out: the byte order, since both ends are on one machine. */
#include "proc/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { READ = 64 * 1024, READS = 16, KEPT = 1024 * 1024 };

struct head {
    uint32_t length, with_fd;
};

struct frame {
    struct list link;
    size_t size, sent;
    int fd;
    char bytes[];
};

int control_pair(int fds[static 2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                      fds);
}

/* ---- sending */

static void drop(struct control *c, struct frame *f)
{
    list_remove(&f->link);
    c->queued -= f->size - f->sent;
    if (f->fd >= 0)
        close(f->fd);
    mem_free(f);
}

/* Sends what the socket takes of f. Returns bytes, or -1 with errno. */
static ssize_t send_part(struct control *c, struct frame *f)
{
    char space[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {f->bytes + f->sent, f->size - f->sent};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (f->fd >= 0) {
        struct cmsghdr *cmsg;

        msg.msg_control = space;
        msg.msg_controllen = sizeof space;
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &f->fd, sizeof f->fd);
    }
    return sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

/* An end that does not read any more is found out by reading. */
static void flush(struct control *c)
{
    while (!list_empty(&c->queue)) {
        struct frame *f = LIST_ITEM(c->queue.next, struct frame, link);
        ssize_t n = send_part(c, f);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno == EAGAIN)
                ev_io_start(c->loop->ev, &c->writing);
            else
                ev_io_stop(c->loop->ev, &c->writing);
            return;
        }
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        f->sent += (size_t)n;
        c->queued -= (size_t)n;
        if (f->sent == f->size)
            drop(c, f);
    }
    ev_io_stop(c->loop->ev, &c->writing);
}

static void on_writable(struct ev_loop *ev, struct ev_io *io, int events)
{
    struct control *c = LIST_ITEM(io, struct control, writing);

    (void)ev;
    (void)events;
    flush(c);
    if (c->full && c->queued < CONTROL_MARK / 2) {
        c->full = false;
        c->on_drain(c);
    }
}

enum control_result control_send(struct control *c, const char *text, size_t n,
                                 int fd)
{
    struct head head = {(uint32_t)n, fd >= 0};
    struct frame *f;

    if (c->fd < 0)
        return CONTROL_CLOSED;
    if (n > CONTROL_MESSAGE_MAX || c->queued + n > CONTROL_QUEUE_MAX)
        return CONTROL_TOO_LARGE;
    f = mem_alloc(sizeof *f + sizeof head + n);
    f->size = sizeof head + n;
    f->sent = 0;
    f->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    head.with_fd = f->fd >= 0; /* without it the receiver says that it failed */
    memcpy(f->bytes, &head, sizeof head);
    memcpy(f->bytes + sizeof head, text, n);
    list_init(&f->link);
    list_push(&c->queue, &f->link);
    c->queued += f->size;
    if (!ev_is_active(&c->writing))
        flush(c);
    if (c->queued > CONTROL_MARK)
        c->full = true;
    return c->full ? CONTROL_FULL : CONTROL_SENT;
}

/* ---- receiving */

static void keep_fds(struct control *c, struct msghdr *msg)
{
    struct cmsghdr *cmsg;
    size_t i, n;
    int fd;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof fd;
        for (i = 0; i < n; i++) {
            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
            if (c->count < CONTROL_FDS)
                c->fds[c->count++] = fd;
            else
                close(fd);
        }
    }
}

static int take_fd(struct control *c)
{
    int fd = -1;

    if (c->count > 0) {
        fd = c->fds[0];
        memmove(c->fds, c->fds + 1, --c->count * sizeof *c->fds);
    }
    return fd;
}

/* Gives the first frame to the callback. Returns 1; 0 where it is not complete;
 * -1 where it cannot be one. */
static int deliver(struct control *c, size_t *at)
{
    size_t rest = c->in.n - *at;
    struct head head;
    char *text, behind;

    if (rest < sizeof head)
        return 0;
    memcpy(&head, c->in.p + *at, sizeof head);
    if (head.length > c->max)
        return -1;
    if (rest < sizeof head + head.length)
        return 0;
    text = c->in.p + *at + sizeof head;
    *at += sizeof head + head.length;
    behind = text[head.length]; /* there is always room: see fill */
    text[head.length] = '\0';
    c->on_message(c, text, head.length, head.with_fd ? take_fd(c) : -1);
    if (c->fd < 0)
        return 0;
    text[head.length] = behind;
    return 1;
}

static int deliver_all(struct control *c)
{
    size_t at = 0;
    int more;

    do
        more = deliver(c, &at);
    while (more > 0);
    if (c->fd < 0)
        return 0; /* a callback has closed us */
    bytes_consume(&c->in, at);
    if (c->in.n == 0 && c->in.cap > KEPT)
        bytes_clear(&c->in);
    return more;
}

/* Reads once. Returns bytes, 0 at the end, -1 with errno. */
static ssize_t fill(struct control *c)
{
    char space[CMSG_SPACE(sizeof(int) * 8)] __attribute__((aligned(8)));
    struct iovec iov = {bytes_reserve(&c->in, READ + 1), READ};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = space,
                         .msg_controllen = sizeof space};
    ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

    if (n <= 0)
        return n;
    bytes_commit(&c->in, (size_t)n);
    keep_fds(c, &msg);
    return n;
}

static void read_some(struct control *c, int reads)
{
    ssize_t n = 1;

    while (reads-- > 0 && c->fd >= 0) {
        n = fill(c);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || deliver_all(c) < 0) {
            control_close(c);
            c->on_close(c);
            return;
        }
    }
}

void control_read(struct control *c)
{
    read_some(c, CONTROL_MESSAGE_MAX / READ);
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    (void)ev;
    (void)events;
    read_some(LIST_ITEM(io, struct control, reading), READS);
}

/* ---- life */

void control_open(struct control *c, struct loop *loop, int fd)
{
    memset(c, 0, sizeof *c);
    c->loop = loop;
    c->fd = fd;
    c->max = CONTROL_MESSAGE_MAX;
    list_init(&c->queue);
    bytes_init(&c->in);
    ev_io_init(&c->reading, on_readable, fd, EV_READ);
    ev_io_init(&c->writing, on_writable, fd, EV_WRITE);
    ev_io_start(loop->ev, &c->reading);
}

void control_pass_over(struct control *c)
{
    ev_unref(c->loop->ev);
    c->passed = true;
}

void control_close(struct control *c)
{
    if (c->fd < 0)
        return;
    if (c->passed)
        ev_ref(c->loop->ev);
    ev_io_stop(c->loop->ev, &c->reading);
    ev_io_stop(c->loop->ev, &c->writing);
    close(c->fd);
    c->fd = -1;
    while (!list_empty(&c->queue))
        drop(c, LIST_ITEM(c->queue.next, struct frame, link));
    while (c->count > 0)
        close(c->fds[--c->count]);
    bytes_clear(&c->in);
}
