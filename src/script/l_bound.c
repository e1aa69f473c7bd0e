/* A socket stays bound while its userdata lives, also when the worker that
 * accepts from it dies: what waits in its queue is served by the next one. */
#include "script/l_bound.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listener.h"
#include "proc/service.h"
#include "script/l_address.h"
#include "script/wait.h"

#define BOUND "luaserve.bound"

struct bound {
    int fd;           /* -1: closed, or another's */
    struct addr addr; /* of a Unix socket that is removed at the end */
    bool removes;
};

static struct bound *check(lua_State *L, int i)
{
    return luaL_checkudata(L, i, BOUND);
}

void l_bound_new(lua_State *L)
{
    struct bound *b = lua_newuserdatauv(L, sizeof *b, 0);

    b->fd = -1;
    b->removes = false;
    luaL_getmetatable(L, BOUND);
    lua_setmetatable(L, -2);
}

void l_bound_set(lua_State *L, int i, int fd)
{
    ((struct bound *)lua_touserdata(L, i))->fd = fd;
}

int l_bound_fd(lua_State *L, int i)
{
    return check(L, i)->fd;
}

int l_bound_take(lua_State *L, int i)
{
    struct bound *b = check(L, i);
    int fd = b->fd;

    b->fd = -1;
    return fd;
}

/* bound:close() */
static int close_bound(lua_State *L)
{
    struct bound *b = check(L, 1);

    if (b->fd < 0)
        return 0;
    if (b->removes)
        unlink(((struct sockaddr_un *)(void *)&b->addr.sa)->sun_path);
    close(b->fd);
    b->fd = -1;
    return 0;
}

/* [-0, +6, m] nil, message, code, place, address, port */
static int fail(lua_State *L, const struct addr *addr)
{
    wait_return_errno(L, errno, "listen", NULL);
    l_address_push_place(L, addr);
    return 6;
}

/* bind(ip or path, port, backlog, many) -> bound, address; or nil and what went
 * wrong; false where ip is a name. many: one of several that share the port. */
static int bind_one(lua_State *L)
{
    struct addr addr;
    int backlog = (int)luaL_optinteger(L, 3, LISTENER_BACKLOG);
    bool many = lua_toboolean(L, 4) != 0;
    const char *call;
    struct bound *b;

    if (l_address_read(L, 1, &addr) < 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    l_bound_new(L);
    b = lua_touserdata(L, -1);
    b->fd = listener_bind(&addr, backlog, many, &call);
    if (b->fd < 0)
        return fail(L, &addr);
    b->removes = addr_is_unix(&addr);
    addr.len = sizeof addr.sa;
    getsockname(b->fd, (struct sockaddr *)&addr.sa, &addr.len);
    b->addr = addr;
    l_address_push(L, &addr);
    return 2;
}

/* probe(ip, port) -> the port, one that is free where it was 0; or nil and what
 * is wrong; false where ip is a name */
static int probe(lua_State *L)
{
    struct addr addr;
    const char *call;

    if (l_address_read(L, 1, &addr) < 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (listener_probe(&addr, &call) < 0)
        return fail(L, &addr);
    lua_pushinteger(L, addr_port(&addr));
    return 1;
}

/* [-0, +2, m] A socket of the service manager's and its address. */
static void push_given(lua_State *L, int fd)
{
    struct addr addr = {.len = sizeof addr.sa};
    int listens = 0;
    socklen_t size = sizeof listens;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
        !listens || getsockname(fd, (struct sockaddr *)&addr.sa, &addr.len) < 0)
        luaL_error(L, "descriptor %d is no listening stream socket", fd);
    l_bound_new(L);
    l_bound_set(L, -1, fd);
    l_address_push(L, &addr);
}

/* given() -> {{fd, bound, address}, ...} of the sockets that a service manager
 * has passed; bound owns it: call it once */
static int given(lua_State *L)
{
    int i, fd;

    lua_newtable(L);
    for (i = 0; (fd = service_socket(i)) >= 0; i++) {
        lua_createtable(L, 0, 3);
        push_given(L, fd);
        lua_setfield(L, -3, "address");
        lua_setfield(L, -2, "bound");
        lua_pushinteger(L, fd);
        lua_setfield(L, -2, "fd");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

void l_bound_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"close", close_bound}, {NULL, NULL}};

    luaL_newmetatable(L, BOUND);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close_bound);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, bind_one);
    lua_setfield(L, -2, "bind");
    lua_pushcfunction(L, probe);
    lua_setfield(L, -2, "probe");
    lua_pushcfunction(L, given);
    lua_setfield(L, -2, "given");
}
