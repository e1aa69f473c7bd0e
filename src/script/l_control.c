/* Conversations at the control socket: a peer is one end of one, in the process
 * that has accepted it, in a worker that it was passed to, or in the command
 * that has connected. Messages are texts; what they mean is the business of
 * lua/luaserve/control. None is larger than CONTROL_SOCKET_MAX, whoever sends
 * it, and those of a server keep no process running. */
#include "script/l_control.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/control.h"
#include "proc/gate.h"
#include "script/call.h"
#include "script/l_bound.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

#define PEER "luaserve.peer"

enum { MESSAGE_MAX = 1024 * 1024 }; /* bytes, as lua/luaserve/control.lua has */

struct peer {
    struct control control;
    int self, handler; /* slots, while it is open */
    struct defer gone;
};

struct event {
    struct peer *peer;
    const char *text; /* NULL: the end */
    size_t n;
};

static int push_event(lua_State *L)
{
    struct event *e = lua_touserdata(L, 1);

    slot_push(L, e->peer->handler);
    if (e->text != NULL)
        lua_pushlstring(L, e->text, e->n);
    else
        lua_pushnil(L);
    return 2;
}

static void emit(struct peer *peer, const char *text, size_t n)
{
    struct event e = {peer, text, n};
    lua_State *L = script_thread();
    struct call *call;
    int pushed;

    if (peer->handler == 0 || script_state.closing)
        return;
    if (call_protected(push_event, &e, &pushed) != LUA_OK ||
        (call = call_new(NULL)) == NULL) {
        log_error("a message at the control socket is lost: out of memory");
        lua_pop(L, pushed);
        return;
    }
    lua_xmove(L, call->co, pushed);
    call_start(call, pushed - 1);
}

static void on_gone(struct defer *d)
{
    struct peer *peer = LIST_ITEM(d, struct peer, gone);

    slot_give(script_thread(), peer->self);
    peer->self = 0;
}

/* Nothing calls back any more. It may be one of its own messages that has
 * closed it, whose reading goes on below us: it is collected later. */
static void release(struct peer *peer)
{
    if (peer->handler == 0)
        return;
    slot_give(script_thread(), peer->handler);
    peer->handler = 0;
    loop_defer_init(&peer->gone, on_gone);
    loop_defer(script_state.loop, &peer->gone);
}

static void on_message(struct control *c, const char *text, size_t n, int fd)
{
    if (fd >= 0) /* nobody has asked for one */
        close(fd);
    emit(LIST_ITEM(c, struct peer, control), text, n);
}

static void on_drain(struct control *c)
{
    (void)c;
}

static void on_close(struct control *c)
{
    struct peer *peer = LIST_ITEM(c, struct peer, control);

    emit(peer, NULL, 0);
    release(peer);
}

static struct peer *check(lua_State *L, int i)
{
    return luaL_checkudata(L, i, PEER);
}

/* [-0, +1, m] A peer that is not open, with the function at index i. */
static struct peer *push_peer(lua_State *L, int i)
{
    struct peer *peer = lua_newuserdatauv(L, sizeof *peer, 0);

    memset(peer, 0, sizeof *peer);
    peer->control.fd = -1;
    luaL_getmetatable(L, PEER);
    lua_setmetatable(L, -2);
    peer->self = slot_of(L, -1);
    peer->handler = slot_of(L, i);
    return peer;
}

static void open_peer(struct peer *peer, int fd)
{
    control_open(&peer->control, script_state.loop, fd);
    peer->control.max = MESSAGE_MAX;
    peer->control.on_message = on_message;
    peer->control.on_drain = on_drain;
    peer->control.on_close = on_close;
}

/* connect(path, fn) -> peer, or nil, message, code. fn(text) is called for each
 * message, fn(nil) at the end. */
static int connect_to(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int fd;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    fd = gate_connect(path);
    if (fd < 0)
        return wait_return_errno(L, errno, "connect", path);
    open_peer(push_peer(L, 2), fd);
    return 1;
}

/* adopt(bound, fn) -> peer: the end that was accepted or passed, as bound */
static int adopt(lua_State *L)
{
    struct peer *peer;
    int fd = l_bound_fd(L, 1);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, fd >= 0, 1, "is closed");
    peer = push_peer(L, 2);
    open_peer(peer, l_bound_take(L, 1));
    control_pass_over(&peer->control);
    return 1;
}

/* peer:send(text) -> true; false where more is not to come now; nil where it is
 * closed, or the text too large */
static int send_text(lua_State *L)
{
    struct peer *peer = check(L, 1);
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    enum control_result result =
        n > MESSAGE_MAX ? CONTROL_TOO_LARGE
                        : control_send(&peer->control, text, n, -1);

    if (result == CONTROL_SENT || result == CONTROL_FULL)
        lua_pushboolean(L, result == CONTROL_SENT);
    else
        lua_pushnil(L);
    return 1;
}

/* peer:close(): no event follows. */
static int close_peer(lua_State *L)
{
    struct peer *peer = check(L, 1);

    control_close(&peer->control);
    release(peer);
    return 0;
}

/* peer:detach() -> bound: the descriptor, for another process; the peer is
 * closed. What it was sent behind the message that is being handled is lost. */
static int detach(lua_State *L)
{
    struct peer *peer = check(L, 1);
    int fd;

    l_bound_new(L);
    fd = peer->control.fd >= 0 ? dup(peer->control.fd) : -1;
    l_bound_set(L, -1, fd);
    control_close(&peer->control);
    release(peer);
    return 1;
}

/* At the end of the process, where it is still open. */
static int collect(lua_State *L)
{
    control_close(&check(L, 1)->control);
    return 0;
}

int l_control_listen(const char *path, char *error, size_t size)
{
    return gate_open(script_state.loop, path, script_knock, error, size);
}

int l_control_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"send", send_text},
                                       {"close", close_peer},
                                       {"detach", detach},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"connect", connect_to}, {"adopt", adopt}, {NULL, NULL}};

    luaL_newmetatable(L, PEER);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
