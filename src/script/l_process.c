/* Events and the shape of the module are Lua's (lua/node/process.lua); here is
 * what only the kernel knows. Signals arrive through libev, which calls back in
 * the loop, so that a listener may do anything. Those that mean something to
 * the server itself (SIGTERM, SIGINT, SIGHUP, SIGUSR1) are always watched, by
 * worker.c, which asks here first; the others only while a script listens. Such
 * a watcher does not keep the process alive. Left out: signals that report a
 * bug (SIGSEGV), to which no return is safe, and SIGPIPE, which is ignored. */
#include "script/l_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "http/access.h"
#include "script/call.h"
#include "script/measure.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"
#include "version.h"

enum { COMM_SIZE = 16 }; /* of a thread's name, with its NUL: prctl(2) */

static const struct signal_name {
    const char *name;
    int signo;
    bool listen; /* scripts may */
} signal_names[] = {
    {"SIGABRT", SIGABRT, false},    {"SIGALRM", SIGALRM, true},
    {"SIGBUS", SIGBUS, false},      {"SIGCHLD", SIGCHLD, true},
    {"SIGCONT", SIGCONT, true},     {"SIGFPE", SIGFPE, false},
    {"SIGHUP", SIGHUP, true},       {"SIGILL", SIGILL, false},
    {"SIGINT", SIGINT, true},       {"SIGIO", SIGIO, true},
    {"SIGKILL", SIGKILL, false},    {"SIGPIPE", SIGPIPE, false},
    {"SIGPROF", SIGPROF, true},     {"SIGPWR", SIGPWR, true},
    {"SIGQUIT", SIGQUIT, true},     {"SIGSEGV", SIGSEGV, false},
    {"SIGSTOP", SIGSTOP, false},    {"SIGSYS", SIGSYS, false},
    {"SIGTERM", SIGTERM, true},     {"SIGTRAP", SIGTRAP, false},
    {"SIGTSTP", SIGTSTP, true},     {"SIGTTIN", SIGTTIN, true},
    {"SIGTTOU", SIGTTOU, true},     {"SIGURG", SIGURG, true},
    {"SIGUSR1", SIGUSR1, true},     {"SIGUSR2", SIGUSR2, true},
    {"SIGVTALRM", SIGVTALRM, true}, {"SIGWINCH", SIGWINCH, true},
    {"SIGXCPU", SIGXCPU, true},     {"SIGXFSZ", SIGXFSZ, true},
};

enum { SIGNALS = sizeof signal_names / sizeof signal_names[0] };

static int emit_slot; /* the function of process.lua that is told of events */
static bool listening[NSIG];
static struct ev_signal watchers[NSIG];
static bool ended; /* "exit" has been emitted */

/* ---- events */

/* Tells process.lua of a signal, or of the exit code. */
static void emit(int number, bool is_signal)
{
    struct call *call = emit_slot ? call_new(NULL) : NULL;

    if (call == NULL)
        return;
    slot_push(call->co, emit_slot);
    lua_pushinteger(call->co, number);
    lua_pushboolean(call->co, is_signal);
    call_start(call, 2);
}

bool l_process_emit_signal(int signo)
{
    if (signo <= 0 || signo >= NSIG || !listening[signo])
        return false;
    emit(signo, true);
    return true;
}

int l_process_emit_exit(void)
{
    if (!ended) {
        ended = true;
        emit(script_state.exit_code, false);
    }
    return script_state.exit_code;
}

/* onEvent(fn): fn(number, isSignal) is called for each signal, and with the
 * exit code at the end */
static int on_event(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (emit_slot == 0)
        emit_slot = slot_take(L);
    lua_pushvalue(L, 1);
    slot_set(L, emit_slot);
    return 0;
}

static void on_signal(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    l_process_emit_signal(watcher->signum);
}

static bool is_watched_always(int signo)
{
    return signo == SIGTERM || signo == SIGINT || signo == SIGHUP ||
           signo == SIGUSR1;
}

static void watch(int signo, bool on)
{
    struct ev_loop *ev = script_state.loop->ev;
    struct ev_signal *watcher = &watchers[signo];

    if (on) {
        ev_signal_init(watcher, on_signal, signo);
        ev_signal_start(ev, watcher);
        ev_unref(ev); /* no reason to go on */
    } else {
        ev_ref(ev);
        ev_signal_stop(ev, watcher);
    }
}

/* listen(signal, on): whether the script has listeners to it */
static int listen_to(lua_State *L)
{
    lua_Integer signo = luaL_checkinteger(L, 1);
    bool on = lua_toboolean(L, 2) != 0;

    luaL_argcheck(L, signo > 0 && signo < NSIG, 1, "not a signal");
    if (listening[signo] == on)
        return 0;
    listening[signo] = on;
    if (!is_watched_always((int)signo))
        watch((int)signo, on);
    return 0;
}

/* ---- the end */

/* setExitCode(code) */
static int set_exit_code(lua_State *L)
{
    script_state.exit_code = (int)luaL_checkinteger(L, 1);
    return 0;
}

/* exit(): now. What runs at the end of main is left out on purpose: threads of
 * the pool may be at work in libraries that exit() would take apart. */
static int exit_now(lua_State *L)
{
    (void)L;
    access_close();
    fflush(NULL);
    quick_exit(script_state.exit_code);
}

/* kill(pid, signo) -> true, or nil, message, code */
static int kill_process(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);

    if (kill(pid, (int)luaL_checkinteger(L, 2)) < 0)
        return wait_return_errno(L, errno, "kill", NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- the process and its surroundings */

/* cwd() -> path, or nil, message, code where it was removed */
static int cwd(lua_State *L)
{
    char *path = getcwd(NULL, 0);

    if (path == NULL)
        return wait_return_errno(L, errno, "uv_cwd", NULL);
    lua_settop(L, 0);
    lua_pushstring(L, path);
    free(path);
    return 1;
}

/* chdir(path) -> true, or nil, message, code */
static int change_directory(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    if (chdir(path) < 0)
        return wait_return_errno(L, errno, "chdir", path);
    lua_pushboolean(L, 1);
    return 1;
}

/* umask([mask]) -> the mask as it was */
static int mask_modes(lua_State *L)
{
    mode_t mask = (mode_t)luaL_optinteger(L, 1, 022), old = umask(mask & 0777);

    if (lua_isnoneornil(L, 1))
        umask(old);
    lua_pushinteger(L, (lua_Integer)old);
    return 1;
}

static int parent(lua_State *L)
{
    lua_pushinteger(L, getppid());
    return 1;
}

/* user() -> uid, euid, gid, egid */
static int user(lua_State *L)
{
    lua_pushinteger(L, getuid());
    lua_pushinteger(L, geteuid());
    lua_pushinteger(L, getgid());
    lua_pushinteger(L, getegid());
    return 4;
}

/* setTitle(text): what ps and top show, as far as the kernel keeps it */
static int set_title(lua_State *L)
{
    char name[COMM_SIZE];

    snprintf(name, sizeof name, "%s", luaL_checkstring(L, 1));
    prctl(PR_SET_NAME, name);
    return 0;
}

static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* environment() -> a new table */
static int environment(lua_State *L)
{
    char **at;

    lua_newtable(L);
    for (at = environ; at != NULL && *at != NULL; at++) {
        const char *end = strchr(*at, '=');

        if (end == NULL)
            continue;
        lua_pushlstring(L, *at, (size_t)(end - *at));
        lua_pushstring(L, end + 1);
        lua_rawset(L, -3);
    }
    return 1;
}

/* ---- the table */

/* [-0, +0, m] Sets signals and listenable, from names to numbers, in the table
 * on top. */
static void set_signals(lua_State *L)
{
    int i;

    lua_newtable(L);
    lua_newtable(L);
    for (i = 0; i < SIGNALS; i++) {
        lua_pushinteger(L, signal_names[i].signo);
        lua_setfield(L, -3, signal_names[i].name);
        if (!signal_names[i].listen)
            continue;
        lua_pushinteger(L, signal_names[i].signo);
        lua_setfield(L, -2, signal_names[i].name);
    }
    lua_setfield(L, -3, "listenable");
    lua_setfield(L, -2, "signals");
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

/* [-0, +0, m] Sets versions in the table on top. */
static void set_versions(lua_State *L)
{
    lua_newtable(L);
    set_text(L, "luaserve", VERSION);
    set_text(L, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    lua_pushfstring(L, "%d.%d", ev_version_major(), ev_version_minor());
    lua_setfield(L, -2, "libev");
#if !COMPAT_LUAJIT
    set_text(L, "lua",
             LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
#endif
    lua_setfield(L, -2, "versions");
}

/* Node's names for machines. */
static const char *architecture(const char *machine)
{
    if (strcmp(machine, "x86_64") == 0)
        return "x64";
    if (strcmp(machine, "aarch64") == 0)
        return "arm64";
    if (machine[0] == 'i' && strcmp(machine + 2, "86") == 0)
        return "ia32";
    return strncmp(machine, "arm", 3) == 0 ? "arm" : machine;
}

/* [-0, +0, m] Sets what never changes in the table on top. */
static void set_constants(lua_State *L)
{
    struct utsname name;

    lua_pushinteger(L, getpid());
    lua_setfield(L, -2, "pid");
    set_text(L, "execPath", script_state.binary);
    set_text(L, "platform", "linux");
    if (uname(&name) == 0)
        set_text(L, "arch", architecture(name.machine));
}

static const luaL_Reg functions[] = {
    {"chdir", change_directory},
    {"cpuUsage", measure_cpu},
    {"cwd", cwd},
    {"environment", environment},
    {"exit", exit_now},
    {"hrtime", measure_hrtime},
    {"isTerminal", is_terminal},
    {"kill", kill_process},
    {"listen", listen_to},
    {"memoryUsage", measure_memory},
    {"nanoseconds", measure_nanoseconds},
    {"onEvent", on_event},
    {"parent", parent},
    {"setExitCode", set_exit_code},
    {"setTitle", set_title},
    {"umask", mask_modes},
    {"uptime", measure_uptime},
    {"user", user},
    {NULL, NULL},
};

int l_process_open(lua_State *L)
{
    const luaL_Reg *reg;

    measure_open();
    lua_newtable(L);
    for (reg = functions; reg->name; reg++) {
        lua_pushcfunction(L, reg->func);
        lua_setfield(L, -2, reg->name);
    }
    set_signals(L);
    set_versions(L);
    set_constants(L);
    return 1;
}
