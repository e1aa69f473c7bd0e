/* net/watch.h for Lua: which folders, and what a change means, is the business
 * of lua/luaserve/watch/. A watcher is anchored, and holds its function, until
 * it is closed. */
#include <errno.h>

#include "net/watch.h"
#include "script/call.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

#define WATCHER "luaserve.watcher"

struct l_watch {
    struct watch watch;
    int self; /* its slot; 0: closed */
};

static const char *const kinds[] = {"written", "made", "gone", "lost",
                                    "missed"};

struct told {
    struct l_watch *w;
    const struct watch_event *event;
};

/* [-0, +5, m] The function of the watcher and what it is called with. */
static int push_call(lua_State *L)
{
    const struct told *told = lua_touserdata(L, 1);
    const struct watch_event *event = told->event;

    slot_push(L, told->w->self);
    compat_getuservalue(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_pushstring(L, kinds[event->kind]);
    lua_pushinteger(L, event->folder);
    lua_pushstring(L, event->name);
    lua_pushboolean(L, event->is_folder);
    return 5;
}

static void on_event(struct watch *watch, const struct watch_event *event)
{
    struct told told = {(struct l_watch *)(void *)watch, event};
    lua_State *L = script_thread();
    struct call *call;
    int n;

    if (call_protected(push_call, &told, &n) != LUA_OK ||
        (call = call_new(NULL)) == NULL) {
        lua_pop(L, n);
        return;
    }
    lua_xmove(L, call->co, 5);
    call_start(call, 4);
}

/* open(fn) -> watcher, or nil, message, code. fn(kind, folder, name, isFolder)
 * is called for each change: kind is a word of the list above. */
static int open_watch(lua_State *L)
{
    struct l_watch *w;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    w = lua_newuserdatauv(L, sizeof *w, 1);
    w->watch.loop = NULL;
    w->self = 0;
    luaL_getmetatable(L, WATCHER);
    lua_setmetatable(L, -2);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    compat_setuservalue(L, 2);
    w->self = slot_of(L, 2);
    if (watch_open(&w->watch, script_state.loop, on_event) == 0)
        return 1;
    slot_give(L, w->self);
    w->self = 0;
    return wait_return_errno(L, errno, "inotify_init", NULL);
}

/* watcher:add(folder) -> its number, or nil, message, code */
static int add(lua_State *L)
{
    struct l_watch *w = luaL_checkudata(L, 1, WATCHER);
    const char *path = luaL_checkstring(L, 2);
    int folder = watch_add(&w->watch, path);

    if (folder < 0)
        return wait_return_errno(L, errno, "inotify_add_watch", path);
    lua_pushinteger(L, folder);
    return 1;
}

/* watcher:remove(number) */
static int remove_folder(lua_State *L)
{
    struct l_watch *w = luaL_checkudata(L, 1, WATCHER);

    watch_remove(&w->watch, (int)luaL_checkinteger(L, 2));
    return 0;
}

/* watcher:close() */
static int close_watch(lua_State *L)
{
    struct l_watch *w = luaL_checkudata(L, 1, WATCHER);
    int self = w->self;

    watch_close(&w->watch);
    w->self = 0;
    slot_give(L, self);
    return 0;
}

int l_watch_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"add", add},
                                       {"remove", remove_folder},
                                       {"close", close_watch},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", open_watch}, {NULL, NULL}};

    luaL_newmetatable(L, WATCHER);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close_watch);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
