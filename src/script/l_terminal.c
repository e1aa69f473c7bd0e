/* The terminal that a prompt is on: its mode, its size, what is typed. Bytes
 * are read as they come, one reader at a time; what they mean is the business
 * of lua/luaserve/repl/editor.lua. Ctrl-C stays a signal, also while lines are
 * edited, because a loop in Lua can be reached by nothing else: the handler
 * ends what runs, and lets libev have the signal, too. Whatever ends the
 * process, the terminal gets back the mode that it had. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "base/bytes.h"
#include "script/budget.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/wait.h"

enum { READ = 4096, PUSHED_MAX = 64 * 1024, STRIKES = 3 };

static struct termios usual;
static bool is_raw;
static struct ev_io input;
static struct wait reader;
static struct bytes pushed;           /* to be read before what is typed */
static const struct call *shielded;   /* is not ended by Ctrl-C */
static volatile sig_atomic_t strikes; /* of Ctrl-C, since one was heard of */

/* ---- its mode */

static void restore(void)
{
    static const char unmarked[] = "\33[?2004l"; /* pastes */

    if (!is_raw)
        return;
    is_raw = false;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &usual);
    if (write(STDOUT_FILENO, unmarked, sizeof unmarked - 1) < 0)
        return;
}

static bool set_raw(void)
{
    static bool registered;
    struct termios t;

    if (is_raw)
        return true;
    if (tcgetattr(STDIN_FILENO, &usual) < 0)
        return false;
    t = usual;
    t.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN);
    t.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | ISTRIP);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    t.c_cc[VQUIT] = t.c_cc[VSUSP] = _POSIX_VDISABLE;
    if (!registered) {
        atexit(restore);
        at_quick_exit(restore);
        registered = true;
    }
    is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0;
    return is_raw;
}

/* raw(on) -> whether it is so now */
static int raw(lua_State *L)
{
    bool done = true;

    if (lua_toboolean(L, 1))
        done = set_raw();
    else
        restore();
    lua_pushboolean(L, done);
    return 1;
}

/* size() -> columns, rows; 80, 24 where nobody knows */
static int size(lua_State *L)
{
    struct winsize w = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;

    lua_pushinteger(L, known && w.ws_col > 0 ? w.ws_col : 80);
    lua_pushinteger(L, known && w.ws_row > 0 ? w.ws_row : 24);
    return 2;
}

/* width(character) -> columns of a character in UTF-8: 0, 1 or 2 */
static int width(lua_State *L)
{
    static locale_t utf8;
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    locale_t old;
    wchar_t c = 0;
    mbstate_t state = {0};
    int columns = 1;

    if (utf8 == (locale_t)0)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 != (locale_t)0) {
        old = uselocale(utf8);
        if (mbrtowc(&c, text, n, &state) <= n)
            columns = wcwidth(c);
        uselocale(old);
    }
    lua_pushinteger(L, columns < 0 ? 1 : columns);
    return 1;
}

/* ---- what is typed */

/* [-0, +2, m] No error, and all that has been pushed. */
static int push_pushed(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushlstring(L, pushed.p, pushed.n);
    pushed.n = 0;
    return 2;
}

static int push_end(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushnil(L);
    return 2;
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    char *room = bytes_reserve(&pushed, READ);
    ssize_t n = read(STDIN_FILENO, room, READ);

    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    ev_io_stop(ev, io);
    if (n > 0)
        bytes_commit(&pushed, (size_t)n);
    wait_settle(&reader, n > 0 ? push_pushed : push_end, NULL);
}

/* read() -> bytes, or nil at the end; waits */
static int read_input(lua_State *L)
{
    if (wait_active(&reader))
        return luaL_error(L, "somebody reads from the terminal already");
    if (pushed.n > 0)
        return push_pushed(L, NULL) - 1;
    wait_begin(L, &reader, 0);
    ev_io_init(&input, on_readable, STDIN_FILENO, EV_READ);
    ev_io_start(script_state.loop->ev, &input);
    return wait_return(L, &reader);
}

/* push(bytes): as if they had been typed */
static int push_input(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);

    if (pushed.n + n > PUSHED_MAX)
        return 0;
    bytes_append(&pushed, text, n);
    if (!wait_active(&reader))
        return 0;
    ev_io_stop(script_state.loop->ev, &input);
    wait_settle(&reader, push_pushed, NULL);
    return 0;
}

/* ---- Ctrl-C */

/* Who is not heard for the third time wants out, whatever runs. */
static void on_interrupt(int signo)
{
    int error = errno;

    if (++strikes >= STRIKES) {
        restore();
        _exit(128 + signo);
    }
    if (script_state.current != shielded)
        budget_interrupt();
    ev_feed_signal(signo);
    errno = error;
}

/* interrupts(): from now on Ctrl-C ends a run of Lua, but not the caller's
 * coroutine. */
static int interrupts(lua_State *L)
{
    struct sigaction action;

    (void)L;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;
    shielded = script_state.current;
    sigaction(SIGINT, &action, NULL);
    return 0;
}

/* heard(): Ctrl-C has been dealt with. */
static int heard(lua_State *L)
{
    (void)L;
    strikes = 0;
    return 0;
}

int l_terminal_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"raw", raw},         {"size", size},       {"width", width},
        {"read", read_input}, {"push", push_input}, {"interrupts", interrupts},
        {"heard", heard},     {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
