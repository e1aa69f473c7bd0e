/* Requests that a process makes to a server of its own, without a port: one end
 * of a pair of sockets is given to the server, and what it answers on the other
 * one is collected until it closes. So a test goes the whole way of a request,
 * through the parser and all limits. What answers mean is read in
 * lua/luaserve/test.lua. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn.h"
#include "script/call.h"
#include "script/l_server.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/wait.h"

struct probe {
    struct bytes answer;
    struct wait wait;
};

static struct list probes = {&probes, &probes};

static size_t on_data(struct conn *c, char *p, size_t n)
{
    struct probe *probe = c->state;

    bytes_append(&probe->answer, p, n);
    return n;
}

static void on_end(struct conn *c)
{
    conn_close(c);
}

static bool is_idle(const struct conn *c)
{
    (void)c;
    return false;
}

static int push_answer(lua_State *L, void *arg)
{
    struct probe *probe = arg;

    lua_pushnil(L);
    lua_pushlstring(L, probe->answer.p, probe->answer.n);
    return 2;
}

static void on_close(struct conn *c)
{
    struct probe *probe = c->state;

    wait_settle(&probe->wait, push_answer, probe);
    bytes_clear(&probe->answer);
    mem_free(probe);
}

static void nothing(struct conn *c)
{
    (void)c;
}

static const struct protocol protocol = {.on_data = on_data,
                                         .on_eof = on_end,
                                         .on_drain = nothing,
                                         .on_deadline = on_end,
                                         .on_shutdown = nothing,
                                         .is_idle = is_idle,
                                         .on_close = on_close,
                                         .on_open = nothing};

static void begin(struct probe *probe, struct server *server, const int *fds,
                  struct str bytes)
{
    struct addr peer;
    struct conn *c;

    addr_from_ip("127.0.0.1", 0, &peer);
    server_inject(server, fds[0]);
    c = conn_open(script_state.loop, fds[1], &peer, &plain_transport, &protocol,
                  &probes);
    c->state = probe;
    buf_append(conn_out(c), bytes.p, bytes.n);
}

/* [-0, +?, v] ask(handle, bytes[, callback]) -> all that the server answers
 * until it closes */
static int ask(lua_State *L)
{
    struct server *server = l_server_ready(L, 1);
    struct str bytes;
    struct probe *probe;
    struct wait wait;
    int fds[2];

    bytes.p = luaL_checklstring(L, 2, &bytes.n);
    lua_settop(L, 3);
    if (server->closing)
        return luaL_error(L, "the server is closed");
    if (!lua_isfunction(L, 3))
        call_check_yieldable(L);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   fds) < 0)
        return wait_return_errno(L, errno, "socketpair", NULL);
    wait_begin(L, &wait, 3);
    probe = mem_zalloc(sizeof *probe);
    probe->wait = wait;
    begin(probe, server, fds, bytes);
    return wait_return(L, &probe->wait);
}

int l_probe_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"ask", ask}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
