/* A channel is one worker as the primary sees it, or the primary as its worker
 * does: a control socket, and, in the primary, a child process. Everything that
 * happens to channels goes to one function of Lua, as (channel, event, ...).
 * Left out: restarting anything, which is policy. */
#include "script/l_cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/server.h"
#include "net/tls_ticket.h"
#include "proc/control.h"
#include "proc/scoreboard.h"
#include "proc/service.h"
#include "proc/spawn.h"
#include "script/call.h"
#include "script/l_ask.h"
#include "script/l_bound.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

#define CHANNEL "luaserve.channel"
#define VARIABLE "LUASERVE_WORKER"

enum { BEAT = 1 }; /* seconds between signs of life */

enum event_kind { MESSAGE = 1, DRAIN, CLOSE, EXIT, STOP };

struct channel {
    struct list link; /* of the children, while they run */
    struct control control;
    struct child child;
    int self; /* anchors the userdata while something may call back */
    int row;  /* of the scoreboard; -1: none */
    pid_t pid;
    bool ending; /* CLOSE is not the last event: EXIT follows */
};

struct event {
    struct channel *channel; /* NULL: the process's own */
    enum event_kind kind;
    const char *text;
    size_t n;
    int fd;          /* -1, or taken by Lua, which sets it to -1 */
    int code, signo; /* EXIT */
};

static struct list children = {&children, &children};
static unsigned count;
static int emit_slot;
static struct scoreboard *board;
static int board_fd = -1;
static int own_row = -1; /* a worker's */
static struct ev_timer beat;

/* ---- telling Lua */

/* [-0, +n, m] The function and the arguments of an event. */
static int push_event(lua_State *L)
{
    struct event *e = lua_touserdata(L, 1);
    int top = lua_gettop(L);

    slot_push(L, emit_slot);
    if (e->channel != NULL)
        slot_push(L, e->channel->self);
    else
        lua_pushnil(L);
    lua_pushinteger(L, e->kind);
    if (e->kind == MESSAGE) {
        lua_pushlstring(L, e->text, e->n);
        if (e->fd >= 0) {
            l_bound_new(L);
            l_bound_set(L, -1, e->fd);
            e->fd = -1;
        }
    } else if (e->kind == EXIT) {
        if (e->signo == 0)
            lua_pushinteger(L, e->code);
        else
            lua_pushnil(L);
        lua_pushinteger(L, e->signo);
    }
    return lua_gettop(L) - top;
}

static void emit(struct event *e)
{
    lua_State *L = script_thread();
    struct call *call;
    int n;

    if (emit_slot == 0 || script_state.closing)
        return;
    if (call_protected(push_event, e, &n) != LUA_OK ||
        (call = call_new(NULL)) == NULL) {
        log_error("an event of the cluster is lost: out of memory");
        lua_pop(L, n);
        return;
    }
    lua_xmove(L, call->co, n);
    call_start(call, n - 1);
}

static void on_message(struct control *control, const char *text, size_t n,
                       int fd)
{
    struct event e = {LIST_ITEM(control, struct channel, control),
                      MESSAGE,
                      text,
                      n,
                      fd,
                      0,
                      0};

    emit(&e);
    if (e.fd >= 0)
        close(e.fd);
}

/* Nothing calls back any more: Lua may have c collected. */
static void release(struct channel *c)
{
    if (c->control.fd >= 0 || c->child.pid != 0 || c->ending || c->self == 0)
        return;
    slot_give(script_thread(), c->self);
    c->self = 0;
}

static void tell(struct channel *c, enum event_kind kind)
{
    struct event e = {c, kind, NULL, 0, -1, 0, 0};

    emit(&e);
}

static void on_drain(struct control *control)
{
    tell(LIST_ITEM(control, struct channel, control), DRAIN);
}

static void on_close(struct control *control)
{
    struct channel *c = LIST_ITEM(control, struct channel, control);

    tell(c, CLOSE);
    release(c);
}

/* What the child has said before its end comes first. */
static void on_exit_of(struct child *child, int code, int signo)
{
    struct channel *c = LIST_ITEM(child, struct channel, child);
    struct event e = {c, EXIT, NULL, 0, -1, code, signo};

    c->ending = true;
    control_read(&c->control);
    list_remove(&c->link);
    count--;
    if (c->row >= 0)
        scoreboard_give(board, c->row);
    c->row = -1;
    if (c->control.fd >= 0) { /* a process that it has left behind has it */
        control_close(&c->control);
        tell(c, CLOSE);
    }
    emit(&e);
    c->ending = false;
    release(c);
}

/* setup(fn): fn(channel, event, ...) is told of everything. */
static int setup(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (emit_slot == 0)
        emit_slot = slot_take(L);
    lua_pushvalue(L, 1);
    slot_set(L, emit_slot);
    return 0;
}

/* ---- channels */

static struct channel *check(lua_State *L, int i)
{
    return luaL_checkudata(L, i, CHANNEL);
}

/* [-0, +1, m] A channel that is not open. */
static struct channel *push_channel(lua_State *L)
{
    struct channel *c = lua_newuserdatauv(L, sizeof *c, 0);

    memset(c, 0, sizeof *c);
    list_init(&c->link);
    c->control.fd = -1;
    c->row = -1;
    luaL_getmetatable(L, CHANNEL);
    lua_setmetatable(L, -2);
    return c;
}

static void open_control(struct channel *c, int fd)
{
    control_open(&c->control, script_state.loop, fd);
    c->control.on_message = on_message;
    c->control.on_drain = on_drain;
    c->control.on_close = on_close;
}

/* channel:send(text[, bound]) -> true; false where more is to wait for the
 * event DRAIN; nil, message where it is closed or the text too large */
static int send_text(lua_State *L)
{
    struct channel *c = check(L, 1);
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    int fd = lua_isnoneornil(L, 3) ? -1 : l_bound_fd(L, 3);

    switch (control_send(&c->control, text, n, fd)) {
    case CONTROL_SENT:
        lua_pushboolean(L, 1);
        return 1;
    case CONTROL_FULL:
        lua_pushboolean(L, 0);
        return 1;
    case CONTROL_TOO_LARGE:
        lua_pushnil(L);
        lua_pushliteral(L, "the message is too large: one has up to 64 MiB");
        return 2;
    default:
        lua_pushnil(L);
        lua_pushliteral(L, "the channel is closed");
        return 2;
    }
}

/* channel:close(): what waits to be sent is lost, no event follows. */
static int close_channel(lua_State *L)
{
    struct channel *c = check(L, 1);

    control_close(&c->control);
    release(c);
    return 0;
}

/* At the end of the process, where it is still open. */
static int collect_channel(lua_State *L)
{
    control_close(&check(L, 1)->control);
    return 0;
}

/* channel:pid() -> of the child, also when it has ended */
static int pid_of(lua_State *L)
{
    lua_pushinteger(L, check(L, 1)->pid);
    return 1;
}

/* channel:kill(signo) -> whether the child was there */
static int kill_child(lua_State *L)
{
    struct channel *c = check(L, 1);
    int signo = (int)luaL_checkinteger(L, 2);

    lua_pushboolean(L, c->child.pid != 0 && kill(c->child.pid, signo) == 0);
    return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t n)
{
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

/* channel:state() -> {age (seconds since it was last seen alive, or nil),
 * requests, connections, memory, lag (seconds)} of the child, or nil */
static int state_of(lua_State *L)
{
    struct channel *c = check(L, 1);
    struct scoreboard_row *row;
    int64_t seen;

    if (c->row < 0)
        return 0;
    row = &board->rows[c->row];
    seen = atomic_load(&row->beat);
    lua_createtable(L, 0, 5);
    if (seen != 0) {
        lua_pushnumber(L, (double)((int64_t)clock_monotonic() - seen) / 1e9);
        lua_setfield(L, -2, "age");
    }
    set_count(L, "requests", atomic_load(&row->requests));
    set_count(L, "connections", atomic_load(&row->connections));
    set_count(L, "memory", atomic_load(&row->memory));
    lua_pushnumber(L, (double)atomic_load(&row->lag) / 1e6);
    lua_setfield(L, -2, "lag");
    return 1;
}

/* ---- starting a worker */

static bool make_board(void)
{
    if (board != NULL)
        return true;
    board = scoreboard_new(&board_fd);
    if (board == NULL)
        return false;
    if (getrandom(board->secret, sizeof board->secret, 0) < 0)
        return false;
    tls_ticket_export(board->seed);
    return true;
}

/* [-0, +1, v] Pushes the strings of the table at field name as a vector for
 * exec, with extra behind them where it is not NULL; the strings stay Lua's. */
static char **push_vector(lua_State *L, const char *name, const char *extra)
{
    int i, n;
    char **vector;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, name);
    luaL_checktype(L, -1, LUA_TTABLE);
    n = (int)lua_rawlen(L, -1);
    vector = lua_newuserdatauv(L, (size_t)(n + 2) * sizeof *vector, 0);
    for (i = 0; i < n; i++) {
        lua_rawgeti(L, -2, i + 1);
        vector[i] = (char *)(size_t)luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    vector[n] = (char *)(size_t)extra;
    vector[n + 1] = NULL;
    lua_remove(L, -2);
    return vector;
}

/* A file without a name that holds text, to be read from its start: -1 with
 * errno. */
static int file_of(const char *text, size_t n)
{
    int fd = memfd_create("luaserve-stdin", MFD_CLOEXEC);
    size_t at = 0;
    ssize_t written;

    while (fd >= 0 && at < n) {
        written = write(fd, text + at, n - at);
        if (written < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        at += written > 0 ? (size_t)written : 0;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* Starts how as c's child. Returns 0, or -1 with errno. */
static int start(struct channel *c, struct spawn *how)
{
    int ends[2], error;

    if (control_pair(ends) < 0)
        return -1;
    how->control = ends[1];
    how->board = board_fd;
    error = spawn_start(&c->child, script_state.loop, how) < 0 ? errno : 0;
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        errno = error;
        return -1;
    }
    c->pid = c->child.pid;
    c->child.on_exit = on_exit_of;
    open_control(c, ends[0]);
    list_push(&children, &c->link);
    count++;
    return 0;
}

/* [-0, +3, m] */
static int fail_to_start(lua_State *L, struct channel *c)
{
    int error = errno;

    if (c->row >= 0)
        scoreboard_give(board, c->row);
    c->row = -1;
    slot_give(L, c->self);
    c->self = 0;
    return wait_return_errno(L, error, "spawn", script_state.binary);
}

/* spawn{id, argv, env, cwd, input, delay} -> channel, or nil, message, code.
 * env is a list of "NAME=value"; input the text of standard input, where it is
 * not ours; delay the milliseconds that the child waits before it runs. */
static int spawn(lua_State *L)
{
    char variable[96];
    struct spawn how = {
        .binary = script_state.binary, .output = -1, .errors = -1};
    struct channel *c;
    size_t n = 0;
    const char *input;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!make_board())
        return wait_return_errno(L, errno, "memfd_create", NULL);
    lua_getfield(L, 1, "id");
    lua_getfield(L, 1, "delay");
    lua_getfield(L, 1, "cwd");
    lua_getfield(L, 1, "input");
    c = push_channel(L);
    how.cwd = lua_tostring(L, 4);
    input = lua_tolstring(L, 5, &n);
    how.argv = push_vector(L, "argv", NULL);
    how.envp = push_vector(L, "env", variable);
    c->self = slot_of(L, 6);
    c->row = scoreboard_take(board, getpid());
    snprintf(variable, sizeof variable, VARIABLE "=%d %d %d",
             (int)lua_tointeger(L, 2), (int)lua_tointeger(L, 3), c->row);
    how.input = input != NULL ? file_of(input, n) : -1;
    if (start(c, &how) < 0)
        return fail_to_start(L, c);
    if (how.input >= 0)
        close(how.input);
    if (c->row >= 0)
        atomic_store(&board->rows[c->row].pid, c->pid);
    lua_settop(L, 6);
    return 1;
}

/* ---- being a worker */

/* A script that fails as fast as it is started anew would take a core: one that
 * is started too soon waits, unless its primary ends. */
static void hold_back(int milliseconds)
{
    struct pollfd end = {.fd = SPAWN_CONTROL_FD};

    if (milliseconds <= 0)
        return;
    if (poll(&end, 1, milliseconds) > 0 && (end.revents & (POLLHUP | POLLERR)))
        _exit(0);
}

int l_cluster_begin(void)
{
    const char *text = getenv(VARIABLE);
    int id = 0, delay = 0;

    if (text == NULL || sscanf(text, "%d %d %d", &id, &delay, &own_row) != 3 ||
        id <= 0)
        return 0;
    unsetenv(VARIABLE);
    if (fcntl(SPAWN_CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(SPAWN_BOARD_FD, F_SETFD, FD_CLOEXEC) < 0)
        return 0;
    hold_back(delay);
    return id;
}

static void on_beat(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct scoreboard_row *row = &board->rows[own_row];
    int64_t now = (int64_t)clock_monotonic();
    int64_t late = now - atomic_load(&row->beat) - BEAT * 1000000000LL;

    (void)ev;
    (void)timer;
    (void)events;
    if (atomic_load(&row->beat) != 0)
        atomic_store(&row->lag, late > 0 ? (uint64_t)late / 1000 : 0);
    atomic_store(&row->beat, now);
    atomic_store(&row->requests, server_requests());
    atomic_store(&row->connections, server_connections());
    atomic_store(&row->memory, script_state.heap.used);
}

static void join_board(void)
{
    struct ev_loop *ev = script_state.loop->ev;

    board = scoreboard_join(SPAWN_BOARD_FD);
    if (board == NULL) {
        log_warn("the primary is of another version: %s", strerror(errno));
        return;
    }
    tls_ticket_seed(board->seed);
    if (own_row < 0 || own_row >= SCOREBOARD_ROWS)
        return;
    ev_timer_init(&beat, on_beat, 0, BEAT);
    ev_timer_start(ev, &beat);
    ev_unref(ev); /* no reason to go on */
}

/* parent() -> the channel to the primary; once, in a worker */
static int parent(lua_State *L)
{
    struct channel *c = push_channel(L);

    c->self = slot_of(L, -1);
    open_control(c, SPAWN_CONTROL_FD);
    join_board();
    return 1;
}

/* ---- the end */

static void on_stop(struct defer *d)
{
    (void)d;
    tell(NULL, STOP);
}

void l_cluster_drain(void)
{
    static struct defer stop = {{&stop.link, &stop.link}, on_stop};

    if (emit_slot != 0)
        loop_defer(script_state.loop, &stop);
}

/* stop(gently): as a first SIGTERM does */
static int stop_process(lua_State *L)
{
    script_state.drain(0, lua_toboolean(L, 1));
    return 0;
}

unsigned l_cluster_workers(void)
{
    return count;
}

void l_cluster_kill(int signo)
{
    struct list *at;

    for (at = children.next; at != &children; at = at->next)
        kill(LIST_ITEM(at, struct channel, link)->child.pid, signo);
}

/* killAll(signo) */
static int kill_all(lua_State *L)
{
    l_cluster_kill((int)luaL_checkinteger(L, 1));
    return 0;
}

/* notify(text): tells the service manager */
static int notify(lua_State *L)
{
    service_notify(luaL_checkstring(L, 1));
    return 0;
}

int l_cluster_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"send", send_text},  {"close", close_channel}, {"pid", pid_of},
        {"kill", kill_child}, {"state", state_of},      {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"setup", setup},      {"spawn", spawn},
        {"parent", parent},    {"stop", stop_process},
        {"killAll", kill_all}, {"notify", notify},
        {NULL, NULL}};

    luaL_newmetatable(L, CHANNEL);
    lua_pushcfunction(L, collect_channel);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    l_bound_open(L);
    l_ask_open(L);
    return 1;
}
