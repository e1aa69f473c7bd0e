/* The Lua state of this process and what surrounds it: the loop, the thread
 * pool, memory, the budget of CPU time. One per process; every file of script/
 * reaches it as script_state. */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include <signal.h>
#include <stdbool.h>

#include "http/limits.h"
#include "net/loop.h"
#include "net/work.h"
#include "script/compat.h"
#include "script/heap.h"

#define SCRIPT_WORKERS_AUTO UINT64_MAX /* as many as there are CPUs */

struct call;

struct script {
    lua_State *L; /* the main thread; its stack is empty between events */
    struct loop *loop;
    struct work *work;
    struct limits limits; /* the defaults of new servers */
    double cpu_budget;    /* seconds of one run of Lua; 0: any */
    uint64_t max_memory;  /* bytes of Lua's heap; 0: any */
    struct heap heap;     /* what Lua holds */
    struct call *current; /* the call whose coroutine runs, or NULL */
    lua_State *running;   /* the thread that runs, or NULL */
    int exit_code;
    bool draining; /* stopping: requests at work are finished */
    bool closing;  /* only finalizers run any more */
    /* worker.c's: begins to stop. gently: others take over, so that connections
     * that are idle stay until their clients have asked once more. */
    void (*drain)(int code, bool gently);
    const char *binary; /* path of this program, for messages and workers */
    int worker;         /* its number in a cluster; 0: it is none */
    char **args;        /* options of the command line, as they were given */
    int nargs;
    bool proxied;       /* --proxy-protocol: for servers that do not say else */
    uint64_t workers;   /* --workers; 0: none */
    bool watch;         /* --watch */
    const char *record; /* --record: a folder; NULL: none */
    uint64_t record_max;  /* requests that it keeps */
    double drain_timeout; /* seconds; 0: none */
};

extern struct script script_state;

/* The name and version of the Lua in this program, and of OpenSSL. */
const char *script_engine(void);
const char *script_crypto(void);

/* Makes the Lua state with the standard library, our modules and globals.
 * loop and work are borrowed. Returns 0, or -1 after a line on standard
 * error. */
int script_open(struct loop *loop, struct work *work);

/* Frees the Lua state; nothing may be registered with the loop any more. */
void script_close(void);

/* What to run: a file, text, or standard input. */
struct script_source {
    const char *path;    /* as given; NULL where text is set */
    const char *text;    /* -e CODE, or NULL */
    const char *show;    /* what to print of its apps ("routes"), or NULL */
    const char *command; /* a command to run in place of a script, or NULL */
    char **argv;         /* what follows the script on the command line */
    int argc;
};

/* Starts the script; it may suspend. on_returned is called when it has ended
 * well, with a value it returned (an app) on top of L's stack or nil; when it
 * fails the traceback is printed and the loop stops with exit code 1. */
void script_start(const struct script_source *source,
                  void (*on_returned)(lua_State *L));

/* Whether the value at index i can be served: a function, or a table that can
 * be called. */
bool script_serves(lua_State *L, int i);

/* Serves the value at index i on the addresses that push (a C function's body)
 * makes a table of. */
void script_serve(lua_State *L, int i, lua_CFunction push);

/* Tells Lua that somebody has come to the control socket: fd is taken. */
void script_knock(int fd);

/* Has what came from files read again: certificates. */
void script_reload(void);

/* Tells a worker's Lua that its script has run, where nothing is served. */
void script_loaded(void);

/* Compiles the script and all that it requires by a literal name, and prints
 * what is wrong. Returns the exit code, 0 or 1. */
int script_check(const struct script_source *source);

/* The thread to use the Lua API on: the one that runs, else the main one. */
static inline lua_State *script_thread(void)
{
    return script_state.running ? script_state.running : script_state.L;
}

/* Called by call.c when no Lua runs: has the process stop where the heap stays
 * over max_memory after a full collection. */
void script_check_memory(void);

/* Ends the process's loop with that exit code after this turn. */
void script_exit(int code);

#endif
