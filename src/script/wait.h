/* One name, two forms: a function that takes time calls a callback later where
 * its last argument is one, and else suspends the coroutine that called it.
 * A struct wait, embedded in what is waited for, is either. Used by every l_*
 * file whose functions wait.
 *
 *   static int l_fs_stat(lua_State *L)
 *   {
 *       struct stat_job *job = ... (everything checked, owned by C)
 *       wait_begin(L, &job->wait, 2);      callback at index 2, or none
 *       work_submit(script_state.work, &job->job);
 *       return wait_return(L, &job->wait);
 *   }
 *   later, on the loop:  wait_settle(&job->wait, push_result, job);
 */
#ifndef SCRIPT_WAIT_H
#define SCRIPT_WAIT_H

#include <stdbool.h>

#include "script/compat.h"

struct call;
struct context;

struct wait {
    struct call *call;       /* the coroutine that waits, or NULL */
    int callback;            /* the slot of the callback, or 0 */
    struct context *context; /* the callback's */
};

/* [-0, +0, v] Begins a wait of the running coroutine, or, where the value at
 * index i (0: there is none) is a function, one that ends in that callback.
 * Raises, before anything has happened, where L can do neither. */
void wait_begin(lua_State *L, struct wait *w, int i);

/* [-?, +?, -] What the function returns: it suspends, or returns nothing. */
int wait_return(lua_State *L, const struct wait *w);

/* True between wait_begin and wait_settle. */
static inline bool wait_active(const struct wait *w)
{
    return w->call != NULL || w->callback != 0;
}

/* Ends the wait. push(L, arg) is called protected and pushes, as a callback
 * would get them, an error (wait_push_error) or nil, then the values; it
 * returns how many it has pushed in all. The waiting coroutine gets the values,
 * or nil, message, code. Does nothing where w is not active. */
void wait_settle(struct wait *w, int (*push)(lua_State *L, void *arg),
                 void *arg);

/* Ends the wait with the error text and code (either may be NULL). */
void wait_fail(struct wait *w, const char *message, const char *code);

/* [-0, +1, m] Pushes an error value, a table that prints as its message:
 * message, code, syscall and path as fields where not NULL. */
void wait_push_error(lua_State *L, const char *message, const char *code,
                     const char *syscall, const char *path);

/* [-0, +1, m] The same for an errno, worded as Node does: "ENOENT: no such file
 * or directory, open './x'". */
void wait_push_errno(lua_State *L, int error, const char *syscall,
                     const char *path);

/* The name of an errno ("ENOENT"). */
const char *wait_errno_name(int error);

/* [-0, +3, m] For calls that answer at once: nil, message, code of an errno. */
int wait_return_errno(lua_State *L, int error, const char *syscall,
                      const char *path);

#endif
