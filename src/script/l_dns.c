/* Names to addresses: getaddrinfo on the thread pool, as it may ask servers far
 * away. The job is C's own until its wait has been settled. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/work.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/wait.h"

struct lookup {
    struct job job;
    struct wait wait;
    struct addr addr;
    uint16_t port;
    int error; /* of getaddrinfo */
    char host[ADDR_HOST_SIZE];
};

static void run(struct job *job)
{
    struct lookup *l = LIST_ITEM(job, struct lookup, job);

    l->error = addr_resolve(l->host, l->port, &l->addr);
}

static int push_result(lua_State *L, void *arg)
{
    struct lookup *l = arg;
    char text[ADDR_IP_SIZE];

    if (l->error != 0) {
        lua_pushfstring(L, "getaddrinfo ENOTFOUND %s: %s", l->host,
                        gai_strerror(l->error));
        wait_push_error(L, lua_tostring(L, -1), "ENOTFOUND", "getaddrinfo",
                        NULL);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, addr_ip(&l->addr, text));
    return 2;
}

static void done(struct job *job)
{
    struct lookup *l = LIST_ITEM(job, struct lookup, job);

    if (l->job.cancelled)
        l->error = EAI_AGAIN;
    wait_settle(&l->wait, push_result, l);
    mem_free(l);
}

/* lookup(host, port [, cb]) -> ip, or nil, message, code */
static int lookup(lua_State *L)
{
    size_t n;
    const char *host = luaL_checklstring(L, 1, &n);
    lua_Integer port = luaL_checkinteger(L, 2);
    struct wait wait;
    struct lookup *l;

    if (n >= ADDR_HOST_SIZE)
        return luaL_error(L, "the name of a host has up to 255 bytes");
    lua_settop(L, 3);
    wait_begin(L, &wait, 3);
    l = mem_zalloc(sizeof *l);
    l->wait = wait;
    l->port = (uint16_t)port;
    memcpy(l->host, host, n + 1);
    l->job.run = run;
    l->job.done = done;
    work_submit(script_state.work, &l->job);
    return wait_return(L, &l->wait);
}

int l_dns_open(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, lookup);
    lua_setfield(L, -2, "lookup");
    return 1;
}
