/* The process that runs a script and serves: puts loop, thread pool, Lua and
 * logs together, handles signals, and drains before it ends. Used by main. */
#ifndef WORKER_H
#define WORKER_H

#include "options.h"

/* Runs the script of options until it has nothing left to wait for, is told to
 * stop, or fails. Returns the exit code of the process. */
int worker_run(const struct options *options, const char *binary);

#endif
