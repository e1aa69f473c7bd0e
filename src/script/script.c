/* Lua's heap is counted and limited here, where running out is one request's
 * error: the limit is crossed softly first (the process finishes what it has
 * and ends), and only a quarter above it does an allocation fail. Everything of
 * policy (require, globals, how a script's file is loaded) is in
 * lua/luaserve/boot.lua. */
#include "script/script.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "script/budget.h"
#include "script/call.h"
#include "script/context.h"
#include "script/failure.h"
#include "script/l_bound.h"
#include "script/modules.h"
#include "script/plugin_api.h"
#include "script/slot.h"

struct script script_state;

static int boot_slot; /* the table that boot.lua returns */
static void (*returned)(lua_State *L);

/* ---- memory */

/* The collector's pace while memory is short: the next cycle begins when a
 * seventh more is in use than the last has found alive, and is over before
 * another tenth is. What a step is differs between the engines. */
enum { SHORT_PAUSE = 115, SHORT_STEP = COMPAT_LUAJIT ? 1600 : 100 };

static bool pressed;
static int usual_pause, usual_step;

/* Three quarters of the limit are in use. Left alone, the collector would wait
 * until twice as much is as it has found alive, and allocations would fail for
 * garbage. These settings allocate nothing. */
static void press(struct heap *heap)
{
    lua_State *L = script_state.L;
    int pause = L != NULL ? lua_gc(L, LUA_GCSETPAUSE, SHORT_PAUSE) : -1;

    if (pause < 0) { /* the collector itself allocates: the next time */
        heap->mark += heap->limit / 64;
        return;
    }
    heap->mark = heap->limit;
    pressed = true;
    usual_pause = pause;
    usual_step = lua_gc(L, LUA_GCSETSTEPMUL, SHORT_STEP);
    lua_gc(L, LUA_GCRESTART, 0); /* from now on */
}

static void relax(struct script *s)
{
    pressed = false;
    s->heap.mark = s->max_memory / 4 * 3;
    lua_gc(s->L, LUA_GCSETPAUSE, usual_pause);
    lua_gc(s->L, LUA_GCSETSTEPMUL, usual_step);
}

static void limit_memory(struct script *s)
{
    heap_init(&s->heap);
    s->heap.on_mark = press;
    if (s->max_memory == 0)
        return;
    s->heap.mark = s->max_memory / 4 * 3;
    /* Failing softly comes first (script_check_memory), then allocations. */
    s->heap.limit = s->max_memory + s->max_memory / 4;
}

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

void script_check_memory(void)
{
    struct script *s = &script_state;
    int n;

    if (pressed && s->heap.used < s->max_memory / 2)
        relax(s);
    if (s->max_memory == 0 || s->heap.used <= s->max_memory || s->draining)
        return;
    if (call_protected(collect, NULL, &n) != LUA_OK)
        lua_pop(script_thread(), n);
    if (s->heap.used <= s->max_memory)
        return;
    log_error("Lua's memory is %llu MiB, over --max-memory (%llu MiB): "
              "finishing the requests at work, then ending",
              (unsigned long long)(s->heap.used >> 20),
              (unsigned long long)(s->max_memory >> 20));
    s->drain(1, false);
}

/* ---- opening */

static int boot(lua_State *L)
{
    luaL_openlibs(L);
    call_open(L);
    plugin_api_open(L);
    if (!modules_find(L, "luaserve.boot"))
        luaL_error(L, "luaserve.boot is missing");
    l_core_open(L);
    lua_call(L, 1, 1);
    boot_slot = slot_of(L, -1);
    return 0;
}

/* Something raised outside of every protected call: a bug of ours. */
static int on_panic(lua_State *L)
{
    fprintf(stderr, "luaserve: error outside of a protected call: %s\n",
            lua_tostring(L, -1));
    abort();
}

int script_open(struct loop *loop, struct work *work)
{
    struct script *s = &script_state;
    int n;

    s->loop = loop;
    s->work = work;
    limit_memory(s);
    s->L = lua_newstate(heap_allocate, &s->heap);
    if (s->L == NULL) {
        fputs("luaserve: cannot make a Lua state\n", stderr);
        return -1;
    }
    lua_atpanic(s->L, on_panic);
    if (call_protected(boot, NULL, &n) == LUA_OK)
        return 0;
    fprintf(stderr, "luaserve: %s\n", lua_tostring(s->L, -1));
    return -1;
}

void script_close(void)
{
    script_state.closing = true;
    context_close();
    lua_close(script_state.L);
    call_close();
    script_state.L = NULL;
}

void script_exit(int code)
{
    script_state.exit_code = code;
    loop_stop(script_state.loop);
}

const char *script_engine(void)
{
    return COMPAT_LUA_NAME;
}

const char *script_crypto(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

/* ---- running the script */

/* [-0, +2, m] Pushes boot[name] and the source as a table. */
static void push_source(lua_State *L, const char *name,
                        const struct script_source *source)
{
    int i;

    slot_push(L, boot_slot);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    lua_createtable(L, source->argc, 4);
    lua_pushstring(L, source->path);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, source->text);
    lua_setfield(L, -2, "text");
    lua_pushstring(L, source->show);
    lua_setfield(L, -2, "show");
    lua_pushstring(L, source->command);
    lua_setfield(L, -2, "command");
    for (i = 0; i < source->argc; i++) {
        lua_pushstring(L, source->argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static int push_main(lua_State *L)
{
    push_source(L, "main", lua_touserdata(L, 1));
    return 2;
}

struct ending {
    struct call *call;
    int code; /* with which the process ends */
};

/* [-0, +1, m] Pushes the exit code that the error value at index i carries: it
 * explains itself, and a traceback would only hide it. Else nil. */
static void push_exit_code(lua_State *L, int i)
{
    if (!lua_istable(L, i)) {
        lua_pushnil(L);
        return;
    }
    lua_pushliteral(L, "_exit");
    lua_rawget(L, i);
}

static int print_failure(lua_State *L)
{
    struct ending *ending = lua_touserdata(L, 1);
    lua_State *co = ending->call->co;
    const char *text;

    lua_xmove(co, L, 1);
    text = failure_text(L, 2);
    push_exit_code(L, 2);
    if (lua_isinteger(L, -1))
        ending->code = (int)lua_tointeger(L, -1);
    else
        failure_push_trace(L, co, 2, text);
    fprintf(stderr, "luaserve: %s\n",
            lua_isinteger(L, -1) ? text : lua_tostring(L, -1));
    return 0;
}

/* A failure while starting is the process's end. */
static void on_serve_end(struct call *call, int status, int nresults)
{
    struct ending ending = {.call = call, .code = 1};
    int n;

    (void)nresults;
    if (status == LUA_OK)
        return;
    status = call_protected(print_failure, &ending, &n);
    if (status != LUA_OK)
        fprintf(stderr, "luaserve: the script failed: %s\n",
                status == LUA_ERRMEM ? "out of memory"
                                     : "the error cannot be turned into text");
    script_exit(ending.code);
}

static void call_boot(const char *name);

static void on_main_end(struct call *call, int status, int nresults)
{
    lua_State *L = script_state.L;

    on_serve_end(call, status, nresults);
    if (status != LUA_OK)
        return;
    call_boot("ended");
    if (nresults > 0) {
        lua_settop(call->co, lua_gettop(call->co) - nresults + 1);
        lua_xmove(call->co, L, 1);
    } else {
        lua_pushnil(L);
    }
    returned(L);
    lua_settop(L, 0);
}

void script_start(const struct script_source *source,
                  void (*on_returned)(lua_State *L))
{
    lua_State *L = script_state.L;
    struct call *call = call_new(NULL);
    int n;

    returned = on_returned;
    if (call == NULL ||
        call_protected(push_main, (void *)(size_t)source, &n) != LUA_OK) {
        fputs("luaserve: out of memory\n", stderr);
        script_exit(1);
        return;
    }
    call->quiet = true;
    call->on_end = on_main_end;
    lua_xmove(L, call->co, 2);
    call_start(call, 1);
}

bool script_serves(lua_State *L, int i)
{
    bool callable;

    if (lua_isfunction(L, i))
        return true;
    if (!lua_istable(L, i) || !lua_getmetatable(L, i))
        return false;
    lua_pushliteral(L, "__call"); /* interned by the core: no allocation */
    lua_rawget(L, -2);
    callable = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return callable;
}

struct serving {
    lua_CFunction push;
};

static int push_serve(lua_State *L)
{
    struct serving *serving = lua_touserdata(L, 1);

    slot_push(L, boot_slot);
    lua_getfield(L, -1, "serve");
    serving->push(L);
    return 2;
}

void script_serve(lua_State *L, int i, lua_CFunction push)
{
    struct serving serving = {push};
    struct call *call = call_new(NULL);
    int n;

    i = lua_absindex(L, i);
    if (call == NULL || call_protected(push_serve, &serving, &n) != LUA_OK) {
        fputs("luaserve: out of memory\n", stderr);
        script_exit(1);
        return;
    }
    call->quiet = true;
    call->on_end = on_serve_end;
    lua_pushvalue(L, i);
    lua_insert(L, -2); /* serve, app, addresses */
    lua_xmove(L, call->co, 3);
    call_start(call, 2);
}

/* [-0, +1, m] The function of boot that is called so. */
static int push_function(lua_State *L)
{
    slot_push(L, boot_slot);
    lua_getfield(L, -1, lua_touserdata(L, 1));
    return 1;
}

static void call_boot(const char *name)
{
    lua_State *L = script_state.L;
    struct call *call;
    int n;

    if (call_protected(push_function, (void *)(size_t)name, &n) != LUA_OK ||
        (call = call_new(NULL)) == NULL) {
        lua_pop(L, n);
        return;
    }
    lua_xmove(L, call->co, 1);
    call_start(call, 0);
}

/* [-0, +2, m] boot.control, and the descriptor as a userdata. */
static int push_knock(lua_State *L)
{
    int *fd = lua_touserdata(L, 1);

    slot_push(L, boot_slot);
    lua_getfield(L, -1, "control");
    l_bound_new(L);
    l_bound_set(L, -1, *fd);
    *fd = -1;
    return 2;
}

void script_knock(int fd)
{
    lua_State *L = script_state.L;
    struct call *call;
    int n;

    if (call_protected(push_knock, &fd, &n) != LUA_OK ||
        (call = call_new(NULL)) == NULL) {
        lua_pop(L, n);
    } else {
        lua_xmove(L, call->co, 2);
        call_start(call, 1);
    }
    if (fd >= 0)
        close(fd);
}

void script_reload(void)
{
    call_boot("reload");
}

void script_loaded(void)
{
    call_boot("loaded");
}

static int check(lua_State *L)
{
    push_source(L, "check", lua_touserdata(L, 1));
    lua_call(L, 1, 1);
    return 1;
}

int script_check(const struct script_source *source)
{
    lua_State *L = script_state.L;
    int n, code = 1, status;

    status = call_protected(check, (void *)(size_t)source, &n);
    if (status != LUA_OK)
        fprintf(stderr, "luaserve: %s\n", lua_tostring(L, -1));
    else
        code = (int)lua_tointeger(L, -1);
    lua_settop(L, 0);
    return code;
}
