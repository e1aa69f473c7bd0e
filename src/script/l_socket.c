/* A table with the addresses as fields, an EventEmitter like all others. What
 * it does on the wire goes through the exchange that has taken the connection
 * over ([1], as in req and res), so that sockets read and write with the same
 * code as requests and responses; the connection itself ([2]) can only be
 * closed. */
#include "script/l_socket.h"

#include "net/conn.h"
#include "script/call.h"
#include "script/l_tls_peer.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"

#define HANDLE "luaserve.socket"

struct socket {
    struct conn *conn; /* NULL when it is gone */
    int slot;          /* anchors the object while it is there */
};

static int meta, closed_function;

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_port(lua_State *L, const char *name, const struct addr *addr)
{
    lua_pushinteger(L, addr_port(addr));
    lua_setfield(L, -2, name);
}

/* [-0, +0, m] Sets the fields of the object on top; a Unix socket has no
 * addresses. */
static void describe(lua_State *L, const struct conn *conn)
{
    struct addr remote, local;
    char text[ADDR_IP_SIZE];

    lua_pushboolean(L, conn->transport->encrypted);
    lua_setfield(L, -2, "encrypted");
    l_tls_peer_describe(L, conn);
    conn_peer(conn, &remote);
    conn_local(conn, &local);
    if (!addr_is_unix(&remote)) {
        set_text(L, "remoteAddress", addr_ip(&remote, text));
        set_port(L, "remotePort", &remote);
    }
    if (local.len == 0 || addr_is_unix(&local))
        return;
    set_text(L, "localAddress", addr_ip(&local, text));
    set_port(L, "localPort", &local);
}

void l_socket_push(lua_State *L, struct conn *conn)
{
    struct socket *s = conn->app;

    if (s != NULL) {
        slot_push(L, s->slot);
        return;
    }
    lua_createtable(L, 2, 5);
    s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (struct socket){NULL, 0};
    luaL_getmetatable(L, HANDLE);
    lua_setmetatable(L, -2);
    lua_rawseti(L, -2, 2);
    describe(L, conn);
    slot_push(L, meta);
    lua_setmetatable(L, -2);
    s->slot = slot_of(L, -1);
    s->conn = conn;
    conn->app = s;
}

struct conn *l_socket_conn(lua_State *L, int i)
{
    struct socket *s;

    luaL_checktype(L, i, LUA_TTABLE);
    lua_rawgeti(L, i, 2);
    s = luaL_checkudata(L, -1, HANDLE);
    lua_pop(L, 1);
    return s->conn;
}

void l_socket_closed(struct conn *conn)
{
    struct socket *s = conn->app;
    struct call *call = call_new(NULL);

    conn->app = NULL;
    s->conn = NULL;
    if (call != NULL) {
        slot_push(call->co, closed_function);
        slot_push(call->co, s->slot);
        call_resume(call, 1);
    }
    slot_give(script_thread(), s->slot);
}

/* handle:close(): closes now; what waits to be sent is tried once. */
static int close_now(lua_State *L)
{
    struct socket *s = luaL_checkudata(L, 1, HANDLE);

    if (s->conn != NULL) {
        conn_flush(s->conn);
        conn_close(s->conn);
    }
    return 0;
}

/* setup(meta, closed): the metatable of the objects, and the function that is
 * told when one has closed. */
static int setup(lua_State *L)
{
    meta = slot_of(L, 1);
    closed_function = slot_of(L, 2);
    return 0;
}

/* of(conn) -> the object of a connection, given as light userdata */
static int of(lua_State *L)
{
    l_socket_push(L, lua_touserdata(L, 1));
    return 1;
}

int l_socket_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"close", close_now}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"of", of}, {"setup", setup}, {NULL, NULL}};

    luaL_newmetatable(L, HANDLE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
