/* The two forms differ only in who gets the result, so everything that takes
 * time is written once. Results are made by a function that is called
 * protected, because making a string of a file's bytes may run out of memory
 * where nobody could catch it. */
#include "script/wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "script/call.h"
#include "script/context.h"
#include "script/script.h"
#include "script/slot.h"

static const char error_key = 'e';

void wait_begin(lua_State *L, struct wait *w, int i)
{
    struct call *current = script_state.current;

    memset(w, 0, sizeof *w);
    if (script_state.closing)
        luaL_error(L, "the process is ending: nothing can be waited for");
    if (i != 0 && lua_isfunction(L, i)) {
        w->callback = slot_of(L, i);
        w->context = current != NULL ? current->context : NULL;
        context_hold(w->context);
        return;
    }
    call_check_yieldable(L);
    w->call = current;
}

int wait_return(lua_State *L, const struct wait *w)
{
    return w->call != NULL ? call_yield(L) : 0;
}

/* ---- settling */

struct result {
    int (*push)(lua_State *L, void *arg);
    void *arg;
    bool spread; /* for a coroutine: nil, message, code instead of an error */
};

static int spread_error(lua_State *L, int err)
{
    lua_pushnil(L);
    if (lua_istable(L, err)) {
        lua_getfield(L, err, "message");
        lua_getfield(L, err, "code");
        return 3;
    }
    lua_pushvalue(L, err);
    return 2;
}

static int make_result(lua_State *L)
{
    struct result *r = lua_touserdata(L, 1);
    int n = r->push(L, r->arg);

    if (!r->spread)
        return n;
    if (!lua_isnil(L, -n))
        return spread_error(L, lua_gettop(L) - n + 1);
    return n - 1;
}

/* Moves n values from L to the call and lets it go on. */
static void hand_over(lua_State *L, struct call *call, int n)
{
    if (!lua_checkstack(call->co, n + 2)) {
        lua_pop(L, n);
        n = 0;
    }
    lua_xmove(L, call->co, n);
    call_resume(call, n);
}

static void call_back(struct wait *w, lua_State *L, int n)
{
    struct context *context = w->context;
    struct call *call = call_new(context);
    int callback = w->callback;

    w->callback = 0;
    w->context = NULL;
    if (call == NULL) {
        lua_pop(L, n);
    } else {
        slot_push(call->co, callback);
        slot_give(L, callback);
        hand_over(L, call, n);
    }
    context_drop(L, context);
}

void wait_settle(struct wait *w, int (*push)(lua_State *L, void *arg),
                 void *arg)
{
    struct result r = {push, arg, w->call != NULL};
    lua_State *L = script_thread();
    struct call *call = w->call;
    int n;

    if (!wait_active(w))
        return;
    if (call_protected(make_result, &r, &n) != LUA_OK && r.spread) {
        lua_pushnil(L); /* nil, message */
        lua_insert(L, -2);
        n = 2;
    }
    if (call == NULL) {
        call_back(w, L, n);
        return;
    }
    w->call = NULL;
    hand_over(L, call, n);
}

struct text {
    const char *message, *code;
};

static int push_text(lua_State *L, void *arg)
{
    struct text *t = arg;

    wait_push_error(L, t->message, t->code, NULL, NULL);
    return 1;
}

void wait_fail(struct wait *w, const char *message, const char *code)
{
    struct text t = {message, code};

    wait_settle(w, push_text, &t);
}

/* ---- errors as values */

static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "message");
    return 1;
}

static int error_concat(lua_State *L)
{
    int i;

    for (i = 1; i <= 2; i++)
        if (lua_istable(L, i)) {
            lua_getfield(L, i, "message");
            lua_replace(L, i);
        }
    lua_settop(L, 2);
    lua_concat(L, 2);
    return 1;
}

/* [-0, +1, m] The metatable of error values. */
static void push_metatable(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, error_concat);
    lua_setfield(L, -2, "__concat");
    lua_pushliteral(L, "Error");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    if (value == NULL)
        return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

void wait_push_error(lua_State *L, const char *message, const char *code,
                     const char *syscall, const char *path)
{
    lua_createtable(L, 0, 4);
    set_text(L, "message", message);
    set_text(L, "code", code);
    set_text(L, "syscall", syscall);
    set_text(L, "path", path);
    push_metatable(L);
    lua_setmetatable(L, -2);
}

const char *wait_errno_name(int error)
{
    const char *name = strerrorname_np(error);

    return name != NULL ? name : "EUNKNOWN";
}

/* Node words the common ones as libuv does: without a capital, some shorter. */
static const char *errno_text(int error)
{
    static char text[128];

    switch (error) {
    case ENOENT:
        return "no such file or directory";
    case EACCES:
        return "permission denied";
    case EEXIST:
        return "file already exists";
    case EISDIR:
        return "illegal operation on a directory";
    case ENOTDIR:
        return "not a directory";
    case ENOTEMPTY:
        return "directory not empty";
    case EPERM:
        return "operation not permitted";
    case EMFILE:
        return "too many open files";
    case EADDRINUSE:
        return "address already in use";
    case EADDRNOTAVAIL:
        return "address not available";
    case EBADF:
        return "bad file descriptor";
    case EINVAL:
        return "invalid argument";
    case ENOSPC:
        return "no space left on device";
    case ECONNREFUSED:
        return "connection refused";
    default:
        snprintf(text, sizeof text, "%s", strerror(error));
        if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
            text[0] = (char)(text[0] | 32);
        return text;
    }
}

void wait_push_errno(lua_State *L, int error, const char *syscall,
                     const char *path)
{
    const char *name = wait_errno_name(error);
    const char *text;

    if (path != NULL)
        text = lua_pushfstring(L, "%s: %s, %s '%s'", name, errno_text(error),
                               syscall, path);
    else
        text =
            lua_pushfstring(L, "%s: %s, %s", name, errno_text(error), syscall);
    wait_push_error(L, text, name, syscall, path);
    lua_pushinteger(L, -error);
    lua_setfield(L, -2, "errno");
    lua_remove(L, -2);
}

int wait_return_errno(lua_State *L, int error, const char *syscall,
                      const char *path)
{
    wait_push_errno(L, error, syscall, path);
    return spread_error(L, lua_gettop(L));
}
