/* What the module "process" needs to be told by the process itself: signals
 * that the composition root (worker.c) watches, and the end. The listeners are
 * the script's, in lua/node/process.lua. */
#ifndef SCRIPT_L_PROCESS_H
#define SCRIPT_L_PROCESS_H

#include <stdbool.h>

/* Calls the script's listeners to that signal, in the context of the process.
 * Returns false where there are none: then what the signal does by default is
 * the caller's to do. Not while Lua runs. */
bool l_process_emit_signal(int signo);

/* Calls the script's listeners to "exit", once in the life of the process,
 * which may set process.exitCode. Returns the exit code to end with. Not while
 * Lua runs. */
int l_process_emit_exit(void);

#endif
