/* Giving up root: become another user and group for good. Used by the worker,
 * which asks before the script runs and drops once it listens. Errors come as
 * one line that says what to do. */
#ifndef PROC_PRIVILEGE_H
#define PROC_PRIVILEGE_H

#include <stddef.h>
#include <sys/types.h>

/* Whether privilege_drop can succeed later, as far as that can be told before:
 * both names exist, and this process may become them. Returns 0, or -1 and a
 * line without newline in error (size bytes). Either name may be NULL. */
int privilege_check(const char *user, const char *group, char *error,
                    size_t size);

/* Becomes user, with that user's supplementary groups, and group; without a
 * group, the user's own. Either name may be NULL: with a group alone only the
 * group changes. Returns 0, also where the process is that already; or -1 and
 * a line without newline in error (size bytes). After -1 the process may have
 * changed halfway and must exit. */
int privilege_drop(const char *user, const char *group, char *error,
                   size_t size);

/* The ids of these names, as privilege_drop would take them. Returns 0 or -1.
 */
int privilege_find(const char *user, const char *group, uid_t *uid, gid_t *gid);

#endif
