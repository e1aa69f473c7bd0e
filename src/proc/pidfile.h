/* The pid file of --pid-file: tells scripts and service managers which process
 * to signal, and keeps a second server from being started beside it. Used by
 * main. Errors come as one line that says what to do. */
#ifndef PROC_PIDFILE_H
#define PROC_PIDFILE_H

#include <stddef.h>

/* Writes our pid to the file path, in place of one that a dead process left.
 * Refuses where the file names another running luaserve, or holds anything but
 * a pid. Returns 0, or -1 and a line without newline in error (size bytes). */
int pidfile_write(const char *path, char *error, size_t size);

/* Removes the file if it still holds our pid. Returns 0, or -1 with errno: the
 * file is another's (ESRCH) or cannot be removed. */
int pidfile_remove(const char *path);

/* Sends the signal to the luaserve whose pid the file path holds. Returns 0, or
 * -1 and a line without newline in error (size bytes). */
int pidfile_signal(const char *path, int signo, char *error, size_t size);

#endif
