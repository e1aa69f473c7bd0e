/* The request is short enough for the buffer of any socket, and of the answer
 * the first line is all that counts. Left out: whatever else a client does. */
#include "script/l_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"
#include "script/l_bound.h"
#include "script/script.h"
#include "script/wait.h"

struct ask {
    struct wait wait;
    struct ev_io io;
    struct ev_timer timer;
    int fd, status;  /* status: 0: none */
    const char *why; /* there is none */
    char line[32];   /* of the answer, as far as it is here */
    size_t n;
};

/* pair() -> bound, bound: the two ends of a connection */
static int pair(lua_State *L)
{
    int ends[2];

    l_bound_new(L);
    l_bound_new(L);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends) < 0)
        return wait_return_errno(L, errno, "socketpair", NULL);
    l_bound_set(L, -2, ends[0]);
    l_bound_set(L, -1, ends[1]);
    return 2;
}

static int push_result(lua_State *L, void *arg)
{
    struct ask *a = arg;

    if (a->status == 0) {
        wait_push_error(L, a->why, NULL, NULL, NULL);
        return 1;
    }
    lua_pushnil(L);
    lua_pushinteger(L, a->status);
    return 2;
}

static void end(struct ask *a)
{
    struct ev_loop *ev = script_state.loop->ev;

    ev_io_stop(ev, &a->io);
    ev_timer_stop(ev, &a->timer);
    close(a->fd);
    wait_settle(&a->wait, push_result, a);
    mem_free(a);
}

static void on_late(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct ask *a = LIST_ITEM(timer, struct ask, timer);

    (void)ev;
    (void)events;
    a->why = "there was no answer in time";
    end(a);
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    struct ask *a = LIST_ITEM(io, struct ask, io);
    ssize_t n = read(a->fd, a->line + a->n, sizeof a->line - 1 - a->n);

    (void)ev;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        a->why = "the connection was closed without an answer";
        end(a);
        return;
    }
    a->n += (size_t)n;
    a->line[a->n] = '\0';
    if (a->n < sizeof "HTTP/1.1 200" - 1)
        return;
    if (sscanf(a->line, "HTTP/1.%*d %3d", &a->status) != 1) {
        a->status = 0;
        a->why = "the answer was not HTTP";
    }
    end(a);
}

/* ask(bound, request, seconds[, cb]) -> status, or nil, message */
static int ask(lua_State *L)
{
    struct ev_loop *ev = script_state.loop->ev;
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    double seconds = luaL_checknumber(L, 3);
    struct wait wait;
    struct ask *a;

    l_bound_fd(L, 1);
    wait_begin(L, &wait, 4);
    a = mem_zalloc(sizeof *a);
    a->wait = wait;
    a->fd = l_bound_take(L, 1);
    send(a->fd, text, n, MSG_NOSIGNAL); /* what fails is found out by reading */
    ev_io_init(&a->io, on_readable, a->fd, EV_READ);
    ev_io_start(ev, &a->io);
    ev_timer_init(&a->timer, on_late, seconds, 0);
    ev_timer_start(ev, &a->timer);
    return wait_return(L, &a->wait);
}

void l_ask_open(lua_State *L)
{
    lua_pushcfunction(L, pair);
    lua_setfield(L, -2, "pair");
    lua_pushcfunction(L, ask);
    lua_setfield(L, -2, "ask");
}
