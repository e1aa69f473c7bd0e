/* Connections that a proxy in front makes for clients, which it names in a
 * header of the PROXY protocol, version 1 or 2 (haproxy.org's
 * proxy-protocol.txt), before anything else. Used by server where that is
 * switched on: then every connection has to have it. */
#ifndef HTTP_PROXIED_H
#define HTTP_PROXIED_H

#include "base/list.h"
#include "net/addr.h"
#include "net/loop.h"

enum {
    PROXIED_HEADER_MAX = 4096, /* bytes, TLVs of version 2 included */
    PROXIED_SECONDS = 10,      /* for it to arrive; closed */
    PROXIED_LAST = 1           /* seconds, while the server closes */
};

struct proxied {
    struct list link;
    struct loop *loop;
    struct ev_io io;
    struct ev_timer timer, retry;
    struct addr peer;
    void *owner;
    /* The header is here, and taken off fd, which is the callee's. peer is the
     * client; that of the connection where the header names none. p is gone. */
    void (*on_ready)(void *owner, int fd, const struct addr *peer);
    /* There is none, or no good one: the connection was closed, p is gone. */
    void (*on_refused)(void *owner);
};

/* Waits for the header on fd, which was accepted from peer. The caller puts it
 * into a list, and sets owner and the callbacks before the next turn. */
struct proxied *proxied_open(struct loop *loop, int fd,
                             const struct addr *peer);

/* The server closes: leaves it PROXIED_LAST more. */
void proxied_hurry(struct proxied *p);

/* Closes it; no callback follows. */
void proxied_close(struct proxied *p);

enum proxied_result { PROXIED_BAD = -1, PROXIED_MORE, PROXIED_OK };

/* Reads the header at the n bytes at p. PROXIED_OK: *size bytes are the header,
 * and *peer was changed where it names a client. */
enum proxied_result proxied_parse(const char *p, size_t n, size_t *size,
                                  struct addr *peer);

#endif
