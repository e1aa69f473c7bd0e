/* What a connection is carried by: a table of functions that plain.c fills for
 * TCP and Unix sockets, and tls.c for TLS. conn.c calls it and knows nothing
 * else about the difference. None of them blocks, none calls conn's owner. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct buf_range;
struct conn;

/* How an attempt at input or output ended. IO_AGAIN: wait until the socket is
 * readable or writable; IO_EOF: the peer will send no more; IO_ERROR: the
 * connection is broken, errno says how. */
enum io { IO_OK, IO_AGAIN, IO_EOF, IO_ERROR };

struct transport {
    /* Goes on with whatever precedes the first byte; IO_OK when done, IO_EOF
     * where the peer was refused: c then has another transport, and what is in
     * its output queue is the last word. NULL: nothing precedes. */
    enum io (*handshake)(struct conn *c);
    /* Reads up to n bytes to p and sets *got. Sets c->buffered where more is
     * there of which the socket will not tell. */
    enum io (*read)(struct conn *c, char *p, size_t n, size_t *got);
    /* Writes from count pieces (0: none) and sets *sent, which may be less than
     * all. Sets c->unsent where it has taken more than the socket did; it must
     * then be called again. */
    enum io (*write)(struct conn *c, const struct iovec *iov, int count,
                     size_t *sent);
    /* Writes from a file, of which range is at the front of the queue, and sets
     * *sent; 0: the file ends before. NULL: it cannot. */
    enum io (*send_file)(struct conn *c, const struct buf_range *range,
                         size_t *sent);
    /* Says that our side of the stream is complete, in the transport's own
     * words; nothing is written afterwards. NULL: it has none. */
    void (*farewell)(struct conn *c);
    /* Tells the peer that nothing more will come; reading goes on. */
    void (*shutdown)(struct conn *c);
    /* Frees what the transport keeps for c; the descriptor is conn's. */
    void (*close)(struct conn *c);
    bool encrypted;
};

/* TCP or a Unix socket, nothing between. */
extern const struct transport plain_transport;

#endif
