/* The conversation between a primary and a worker: framed messages, each with a
 * file descriptor where there is one to pass, over a socketpair. What does not
 * fit into the socket waits in a queue, whose size the sender is told, so that
 * it can stop. Used by script/l_cluster.c at both ends. Texts are opaque here.
 */
#ifndef PROC_CONTROL_H
#define PROC_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "net/loop.h"

enum {
    CONTROL_MESSAGE_MAX = 64 * 1024 * 1024, /* bytes of one message */
    CONTROL_QUEUE_MAX = 256 * 1024 * 1024,  /* bytes that may wait in all */
    CONTROL_MARK = 1024 * 1024, /* bytes that wait, at which to stop */
    CONTROL_FDS = 64 /* descriptors that came ahead of their frames */
};

struct control {
    struct loop *loop;
    struct ev_io reading, writing;
    struct list queue;
    size_t queued; /* bytes that wait */
    struct bytes in;
    int fds[CONTROL_FDS];
    unsigned count; /* of fds */
    int fd;         /* -1: closed */
    uint32_t max;   /* bytes of a message that is taken */
    bool passed;    /* see control_pass_over */
    bool full;      /* queued has passed CONTROL_MARK: on_drain will follow */
    /* A message: n bytes at text, followed by a NUL, valid during the call; fd
     * is -1 or a descriptor that is the callee's from now on. May close c. */
    void (*on_message)(struct control *c, const char *text, size_t n, int fd);
    /* What waited has left, after control_send said that c is full. */
    void (*on_drain)(struct control *c);
    /* The other end is gone, or has said what cannot be; c is closed. */
    void (*on_close)(struct control *c);
};

enum control_result {
    CONTROL_CLOSED = -1,
    CONTROL_SENT,
    CONTROL_FULL,
    CONTROL_TOO_LARGE
};

/* Makes a pair of connected sockets, close-on-exec and non-blocking. Returns 0,
 * or -1 with errno. */
int control_pair(int fds[static 2]);

/* Speaks on the socket fd, which is c's from now on; the callbacks are set by
 * the caller before the next turn. It is a reason for the loop to go on. */
void control_open(struct control *c, struct loop *loop, int fd);

/* Has the loop end where c is all that is left of it. */
void control_pass_over(struct control *c);

/* Sends n bytes (copied), and fd where it is not -1 (duplicated). CONTROL_FULL:
 * sent, but more is not to come before on_drain. */
enum control_result control_send(struct control *c, const char *text, size_t n,
                                 int fd);

/* Calls back for what has arrived already, and for the end. */
void control_read(struct control *c);

/* Closes; what waits is lost. Safe to call twice. No callback follows. */
void control_close(struct control *c);

#endif
