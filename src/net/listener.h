/* A listening socket: binds, accepts in batches and hands each connection to
 * its owner. When descriptors run out it sheds one connection with a reserve
 * descriptor and rests, instead of spinning. Used by http/server. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/list.h"
#include "net/addr.h"
#include "net/loop.h"

enum {
    LISTENER_BACKLOG = 511, /* Node's default */
    LISTENER_BATCH = 64     /* accepts in a row before others have a turn */
};

struct listener {
    struct list link; /* the owner's */
    struct loop *loop;
    struct ev_io io;
    struct ev_timer rest;
    struct addr addr; /* as bound, with the port the kernel chose */
    struct defer burial;
    bool paused;
    bool adopted; /* the socket is another process's, too */
    int tag;      /* the owner's, to find an adopted one by */
    /* fd is connected and non-blocking, and the callee's. */
    void (*on_accept)(struct listener *l, int fd, const struct addr *peer);
    void *owner;
};

/* Binds addr, listens and accepts. Returns a listener owned by the caller, or
 * NULL with errno, and then *syscall names what failed ("bind", "listen"). A
 * Unix socket that nobody listens on any more is replaced. */
struct listener *listener_open(struct loop *loop, const struct addr *addr,
                               int backlog, const char **syscall);

/* Binds addr and listens, for others to accept: returns a socket, close-on-exec
 * and non-blocking, or -1 as above. many: it is one of several sockets that
 * share a port (SO_REUSEPORT), between which the kernel divides connections. */
int listener_bind(const struct addr *addr, int backlog, bool many,
                  const char **syscall);

/* Whether addr could be bound by one alone, which SO_REUSEPORT would hide: 0,
 * or -1 as above. A port of 0 becomes one that was free a moment ago. */
int listener_probe(struct addr *addr, const char **syscall);

/* Accepts from a listening socket that was made elsewhere, which is the
 * listener's from now on. Returns NULL with errno where fd is none. */
struct listener *listener_adopt(struct loop *loop, int fd);

/* Accepts what waits in the kernel's queue now, unless l is paused. */
void listener_accept(struct listener *l);

/* Stops accepting, closes the socket, removes a Unix socket's file unless it
 * was adopted, frees l at the end of the turn: on_accept may call this. */
void listener_close(struct listener *l);

/* Leaves new connections in the kernel's queue until listener_resume. */
void listener_pause(struct listener *l);

/* Accepts again. */
void listener_resume(struct listener *l);

#endif
