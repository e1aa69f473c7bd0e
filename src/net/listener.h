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
    /* fd is connected and non-blocking, and the callee's. */
    void (*on_accept)(struct listener *l, int fd, const struct addr *peer);
    void *owner;
};

/* Binds addr, listens and accepts. Returns a listener owned by the caller, or
 * NULL with errno, and then *syscall names what failed ("bind", "listen"). A
 * Unix socket that nobody listens on any more is replaced. */
struct listener *listener_open(struct loop *loop, const struct addr *addr,
                               int backlog, const char **syscall);

/* Accepts what waits in the kernel's queue now, unless l is paused. */
void listener_accept(struct listener *l);

/* Stops accepting, closes the socket, removes a Unix socket's file, frees l at
 * the end of the turn: on_accept may call this. */
void listener_close(struct listener *l);

/* Leaves new connections in the kernel's queue until listener_resume. */
void listener_pause(struct listener *l);

/* Accepts again. */
void listener_resume(struct listener *l);

#endif
