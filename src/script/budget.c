/* A POSIX timer on the CPU clock of the loop's thread sends a signal for every
 * quarter of the budget that the thread has used. Entering Lua only clears a
 * counter, so a request costs no system call; the signal handler counts, and
 * after four quarters without a return sets a hook on the running thread, as
 * lua.c does on an interrupt. The hook suspends the thread, which no pcall and
 * no message handler can catch, for good: its resumer throws it away. Where Lua
 * cannot suspend, the hook raises, and stays armed until the runtime has
 * control: a pcall in a loop catches the error and meets it again at its next
 * instruction. What people type into a living server has a smaller budget, with
 * a timer of its own, and Ctrl-C at a prompt ends a run in the same way. Out of
 * reach: C functions, finalizers, compiled LuaJIT code. */
#include "script/budget.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/call.h"
#include "script/script.h"

enum { QUARTERS = 4 };

enum cause { WHOLE, SHORT, INTERRUPTED }; /* why a run is ended */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static timer_t timer, short_timer;
static bool armed, short_armed;
static double short_seconds;
static volatile sig_atomic_t quarters, spent, cause;
static lua_State *ended; /* the thread that the hook has suspended */
static char *trace;      /* where it was; NULL: nothing ended yet */

/* [-0, +1, m] Words the failure: where in the script L is. */
static void push_text(lua_State *L)
{
    call_where(L, 0);
    if (cause == INTERRUPTED)
        lua_pushliteral(L, "interrupted");
    else if (cause == SHORT)
        lua_pushfstring(L, "ended after %f s of CPU time without waiting",
                        (lua_Number)short_seconds);
    else
        lua_pushfstring(L,
                        "CPU budget of %f s exceeded without waiting "
                        "(--cpu-budget)",
                        (lua_Number)script_state.cpu_budget);
    lua_concat(L, 2);
}

/* [-0, +0, m] Keeps what the log is to say, when the first thread of a run is
 * ended: of those around it, and afterwards, less can be told. */
static void remember(lua_State *L)
{
    if (trace != NULL)
        return;
    push_text(L);
    luaL_traceback(L, L, lua_tostring(L, -1), 0);
    trace = mem_strdup(lua_tostring(L, -1));
    lua_pop(L, 2);
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (!spent) { /* L was not at work when the run ended */
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    remember(L);
    if (lua_isyieldable(L)) {
        ended = L;
        lua_yield(L, 0);
        return;
    }
    push_text(L);
    lua_error(L);
}

/* Called by signals. */
static void end_run(enum cause why)
{
    lua_State *L = script_state.running;

    if (L == NULL)
        return;
    cause = why;
    spent = 1;
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    if (info->si_code == SI_TIMER && info->si_value.sival_int == SHORT)
        end_run(SHORT);
    else if (script_state.running != NULL && ++quarters > QUARTERS)
        end_run(WHOLE);
}

void budget_interrupt(void)
{
    end_run(INTERRUPTED);
}

/* Makes a timer on the CPU clock of this thread. Returns 0, or -1 with errno.
 */
static int make_timer(timer_t *made, enum cause why)
{
    struct sigaction action;
    struct sigevent event;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    if (sigaction(SIGVTALRM, &action, NULL) < 0)
        return -1;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event.sigev_value.sival_int = (int)why;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    return timer_create(CLOCK_THREAD_CPUTIME_ID, &event, made);
}

static struct timespec time_of(double seconds)
{
    struct timespec t;

    t.tv_sec = (time_t)seconds;
    t.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) + 1;
    return t;
}

int budget_open(double seconds)
{
    struct itimerspec every;

    if (seconds <= 0)
        return 0;
    if (make_timer(&timer, WHOLE) < 0)
        return -1;
    every.it_value = every.it_interval = time_of(seconds / QUARTERS);
    armed = true;
    return timer_settime(timer, 0, &every, NULL);
}

void budget_shorten(double seconds)
{
    struct itimerspec once = {.it_value = time_of(seconds)};

    if (!short_armed && make_timer(&short_timer, SHORT) < 0)
        return;
    short_armed = true;
    short_seconds = seconds;
    timer_settime(short_timer, 0, &once, NULL);
}

void budget_relax(void)
{
    struct itimerspec never = {.it_value = {0, 0}};

    if (short_armed)
        timer_settime(short_timer, 0, &never, NULL);
}

void budget_close(void)
{
    if (armed)
        timer_delete(timer);
    if (short_armed)
        timer_delete(short_timer);
    armed = short_armed = false;
}

void budget_enter(void)
{
    quarters = 0;
}

bool budget_spent(void)
{
    return spent;
}

bool budget_ended(const lua_State *L)
{
    return L == ended;
}

const char *budget_trace(void)
{
    return trace;
}

void budget_leave(lua_State *L, lua_State *outer)
{
    if (!spent)
        return;
    lua_sethook(L, NULL, 0, 0);
    ended = NULL;
    if (outer != NULL) {
        lua_sethook(outer, on_hook, LUA_MASKCOUNT, 1);
    } else {
        spent = 0;
        mem_free(trace);
        trace = NULL;
    }
}
