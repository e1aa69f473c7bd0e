/* Starting this program anew as a worker, and learning of its end. A worker is
 * fork and exec: no loop, Lua state, TLS context or thread crosses the fork,
 * and a program that was replaced on disk is picked up. Used by
 * script/l_cluster.c. */
#ifndef PROC_SPAWN_H
#define PROC_SPAWN_H

#include <sys/types.h>

#include "net/loop.h"

enum {
    SPAWN_CONTROL_FD = 3, /* in the child: its end of the control socket, */
    SPAWN_BOARD_FD = 4    /* and the cluster's scoreboard */
};

struct spawn {
    const char *binary; /* its path */
    char *const *argv;  /* argv[0] first, NULL behind the last */
    char *const *envp;  /* "NAME=value", NULL behind the last */
    const char *cwd;    /* NULL: ours */
    int control, board; /* descriptors for the child */
    int input;          /* its standard input; -1: /dev/null */
    int output, errors; /* its standard output and error; -1: ours */
};

struct child {
    struct ev_child watcher;
    struct loop *loop;
    pid_t pid; /* 0: not running */
    /* It has ended, with an exit code, or (code is -1) by a signal. */
    void (*on_exit)(struct child *c, int code, int signo);
};

/* Starts what how says and watches it as c, which must stay where it is until
 * on_exit. Watching is a reason for the loop to go on. Returns 0, or -1 with
 * errno, that of exec included. */
int spawn_start(struct child *c, struct loop *loop, const struct spawn *how);

/* Stops watching; the child goes on. Safe to call twice. */
void spawn_forget(struct child *c);

#endif
