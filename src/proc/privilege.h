/* Giving up root: become another user and group for good. Used by main after
 * sockets, logs and the pid file are open, before any thread starts and before
 * the script runs. Errors come as one line that says what to do. */
#ifndef PROC_PRIVILEGE_H
#define PROC_PRIVILEGE_H

#include <stddef.h>

/* Becomes user, with that user's supplementary groups, and group; without a
 * group, the user's own. Either name may be NULL: with a group alone only the
 * group changes. Returns 0, also where the process is that already; or -1 and
 * a line without newline in error (size bytes). After -1 the process may have
 * changed halfway and must exit. */
int privilege_drop(const char *user, const char *group, char *error,
                   size_t size);

#endif
