/* All that a loadable module (src/bind/NAME.c) knows of luaserve: a table of
 * functions, handed out by the registry, so that a module is built without the
 * program and is refused by one that it does not fit. Everything is called on
 * the loop's thread, but for a job's run.
 *
 *   int luaopen_luaserve_bind_name(lua_State *L)
 *   {
 *       plugin = plugin_of(L);       raises where the versions differ
 *       ...
 *   }
 *
 * A function of a module that takes time:
 *
 *       struct plugin_wait *w = plugin->wait_begin(L, callback, on_over,
 * query);
 *       ... start the query ...
 *       return plugin->wait_return(L, w);
 *   and when the answer is there:
 *       plugin->wait_settle(w, push_rows, query);
 */
#ifndef SCRIPT_PLUGIN_H
#define SCRIPT_PLUGIN_H

#include <lua.h>

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if LUA_VERSION_NUM < 502
#define lua_rawlen(L, i) lua_objlen(L, i)
#endif

#define PLUGIN_VERSION 4
#define PLUGIN_EXPORT __attribute__((visibility("default")))
#define PLUGIN_KEY "luaserve.plugin"

enum { PLUGIN_READ = 1, PLUGIN_WRITE = 2 }; /* of a watch */

struct plugin_wait;
struct plugin_watch;
struct plugin_timer;

struct plugin {
    int version; /* PLUGIN_VERSION of the program */

    /* [-0, +0, v] Begins a wait of the running coroutine, or, where the value
     * at index i (0: none) is a function, one that ends in that callback.
     * on_over(arg, why) is called at most once, before wait_settle, where
     * nobody waits any more: the client is gone ("aborted") or its time is over
     * ("timeout"), which is what the waiter gets. It may settle the wait.
     * Raises where L can do neither. The caller owns the wait until
     * wait_settle. */
    struct plugin_wait *(*wait_begin)(lua_State *L, int i,
                                      void (*on_over)(void *arg,
                                                      const char *why),
                                      void *arg);
    /* [-?, +?, -] What the function returns: it suspends, or returns nothing.
     */
    int (*wait_return)(lua_State *L, struct plugin_wait *w);
    /* Ends the wait and frees it. push(L, arg) runs protected, and pushes an
     * error (push_error) or nil, then the values, and returns their count; it
     * is not called where nobody waits any more. */
    void (*wait_settle)(struct plugin_wait *w,
                        int (*push)(lua_State *L, void *arg), void *arg);
    /* Frees a wait without a word: at the end of the process, when what would
     * settle it is collected. */
    void (*wait_forget)(struct plugin_wait *w);
    /* [-0, +1, m] Pushes an error value with these fields; code may be NULL. */
    void (*push_error)(lua_State *L, const char *message, const char *code);

    /* Has run(arg) called on a thread of the pool, then done(arg, cancelled) on
     * the loop; cancelled: the process ends, and run was not called. */
    void (*work)(void (*run)(void *arg),
                 void (*done)(void *arg, bool cancelled), void *arg);
    /* Within run, on its thread: has done(arg, false) called on the loop,
     * before the done of what runs. */
    void (*post)(void (*done)(void *arg, bool cancelled), void *arg);

    /* Calls on_event(arg, events) when fd can be read or written, as
     * watch_set asks (nothing at first). The caller owns the watch, and fd. */
    struct plugin_watch *(*watch_new)(int fd,
                                      void (*on_event)(void *arg, int events),
                                      void *arg);
    void (*watch_set)(struct plugin_watch *watch, int events);
    /* Whether the watch keeps the process running, which it does at first. */
    void (*watch_keep)(struct plugin_watch *watch, bool keeps);
    void (*watch_free)(struct plugin_watch *watch); /* also from on_event */

    /* Calls on_time(arg) once, so many seconds from when timer_set is called;
     * less than 0 stops it. keeps: whether it keeps the process running. */
    struct plugin_timer *(*timer_new)(void (*on_time)(void *arg), void *arg,
                                      bool keeps);
    void (*timer_set)(struct plugin_timer *timer, double seconds);
    void (*timer_free)(struct plugin_timer *timer); /* also from on_time */

    /* [-(n + 1), +0, m] on L: calls the function below n arguments at the end
     * of this turn, in the context of nobody's request. */
    void (*call_later)(lua_State *L, int n);
    /* [-0, +0, -] The main thread, for calls out of events: only to push
     * what wait_settle's push and call_later take. */
    lua_State *(*thread)(void);
    /* Resizes p (owned, may be NULL) to n bytes, and frees it where n is 0;
     * never fails, as base/mem.h. */
    void *(*memory)(void *p, size_t n);
    /* Writes a line to the log, as an error. */
    void (*log)(const char *text);
};

/* What the modules are opened by, and all that they export. */
PLUGIN_EXPORT int luaopen_luaserve_bind_sqlite(lua_State *L);
PLUGIN_EXPORT int luaopen_luaserve_bind_fetch(lua_State *L);
PLUGIN_EXPORT int luaopen_luaserve_bind_redis(lua_State *L);
PLUGIN_EXPORT int luaopen_luaserve_bind_postgres(lua_State *L);

/* [-0, +0, v] The program's table; raises where it is of another version. */
static inline const struct plugin *plugin_of(lua_State *L)
{
    const struct plugin *plugin;

    lua_getfield(L, LUA_REGISTRYINDEX, PLUGIN_KEY);
    plugin = (const struct plugin *)lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (plugin == NULL || plugin->version != PLUGIN_VERSION)
        luaL_error(L, "this module was built for another luaserve: build both "
                      "from the same sources (make, make install)");
    return plugin;
}

#endif
