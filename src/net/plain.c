/* The transport that adds nothing: the socket calls themselves. Sends with
 * MSG_NOSIGNAL so that a peer that has gone is an error and not a signal. */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/transport.h"

static enum io status(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return IO_AGAIN;
    return IO_ERROR;
}

static enum io read_some(struct conn *c, char *p, size_t n, size_t *got)
{
    ssize_t r = recv(c->io.fd, p, n, 0);

    if (r < 0)
        return status();
    *got = (size_t)r;
    return r == 0 ? IO_EOF : IO_OK;
}

static enum io write_some(struct conn *c, const struct iovec *iov, int count,
                          size_t *sent)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(size_t)iov,
                       .msg_iovlen = (size_t)count};
    int flags = MSG_NOSIGNAL | (c->more ? MSG_MORE : 0);
    ssize_t r;

    if (count == 1)
        r = send(c->io.fd, iov->iov_base, iov->iov_len, flags);
    else
        r = sendmsg(c->io.fd, &m, flags);
    if (r < 0)
        return status();
    *sent = (size_t)r;
    return IO_OK;
}

/* SIGPIPE, which sendfile may raise, is ignored by the process (worker.c). */
static enum io send_file(struct conn *c, const struct buf_range *range,
                         size_t *sent)
{
    off_t offset = range->offset;
    ssize_t r = sendfile(c->io.fd, range->fd, &offset, range->n);

    if (r < 0)
        return status();
    *sent = (size_t)r;
    return IO_OK;
}

static void shut(struct conn *c)
{
    shutdown(c->io.fd, SHUT_WR);
}

static void close_nothing(struct conn *c)
{
    (void)c;
}

const struct transport plain_transport = {
    .read = read_some,
    .write = write_some,
    .send_file = send_file,
    .shutdown = shut,
    .close = close_nothing,
};
