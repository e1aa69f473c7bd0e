/* Whose turn it is to write to the store: a lock in front of LMDB's own, which
 * would wait for ever. Like that one it is free again when its holder dies, but
 * where the holder has been stopped (SIGSTOP, a debugger) others wait for two
 * seconds, and then are told at once until it goes on or ends. Used by
 * proc/store_db, on the loop's thread alone. */
#ifndef PROC_STORE_TURN_H
#define PROC_STORE_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Opens the lock beside the store at path, and makes it anew where this process
 * is alone with the store. Returns 0, or -1 and a line in error. */
int store_turn_open(const char *path, bool alone, char *error, size_t size);

/* Waits for the turn. Returns 0; or the process that keeps it. */
pid_t store_turn_take(void);

void store_turn_give(void);

void store_turn_close(void);

#endif
