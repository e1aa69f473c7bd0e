/* A Unix socket at which processes of the same user, and root, may knock: the
 * control socket beside the pid file. Whoever comes is looked at by the
 * kernel's word (SO_PEERCRED), and handed on as a descriptor. One per process.
 * Used by script/l_control.c. */
#ifndef PROC_GATE_H
#define PROC_GATE_H

#include <stddef.h>

#include "net/loop.h"

/* Listens at path, in place of a socket that nobody answers on; what is there
 * and no such socket is left alone. on_client gets a connected socket, non-
 * blocking, which is its own from then on. The gate is no reason for the loop
 * to go on. Returns 0, or -1 and a line without newline in error (size
 * bytes). */
int gate_open(struct loop *loop, const char *path, void (*on_client)(int fd),
              char *error, size_t size);

/* Closes, and removes the socket if it is still ours. Safe to call twice. */
void gate_close(void);

/* Connects to the gate at path. Returns a non-blocking socket, or -1 with
 * errno. */
int gate_connect(const char *path);

#endif
