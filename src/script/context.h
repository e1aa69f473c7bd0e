/* The context of a request on the Lua side: a userdata that req and res carry,
 * through which they reach the exchange while it lives, and to which every
 * callback and coroutine belongs that the request's handler starts. A failure
 * in any of them is that request's. It outlives the exchange as long as Lua can
 * see it; then x is NULL and methods answer nil, "closed". */
#ifndef SCRIPT_CONTEXT_H
#define SCRIPT_CONTEXT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/list.h"
#include "http/exchange.h"
#include "script/compat.h"
#include "script/wait.h"

enum context_reading {
    CONTEXT_IDLE,  /* nobody reads */
    CONTEXT_CHUNK, /* what comes next is wanted */
    CONTEXT_ALL    /* the whole body is wanted */
};

/* Events that a script listens to, as bits. */
enum context_event {
    CONTEXT_CLOSE = 1,
    CONTEXT_FINISH = 2,
    CONTEXT_ABORTED = 4,
    CONTEXT_DRAIN = 8
};

struct context {
    struct list every;     /* of those that are alive */
    const void *kind;      /* CONTEXT_KIND: this userdata is one of ours */
    struct exchange *x;    /* NULL when it is gone */
    struct list link;      /* of those that wait to be buried */
    int slot;              /* anchors res, which holds this, which holds req */
    unsigned live;         /* coroutines and waits that belong to it */
    unsigned events;       /* enum context_event that are listened to */
    const void *req, *res; /* their addresses, valid while slot is */
    bool assigned;         /* fields of res were: its status, perhaps */
    bool closed;           /* the wire has let go */
    bool spent;            /* on_close has been told to Lua */
    bool over;             /* the body is over its limit */
    bool late;             /* waits for the body end with "timeout" */
    bool failed;           /* failure.c's hook was asked to answer */
    bool raised;           /* a failure, see l_record.c */
    bool told;             /* there is nothing more for l_misuse.c to tell */
    enum closed why;
    const char *gone; /* why nobody waits for the answer, which had not ended */
    enum context_reading reading;
    uint64_t limit; /* bytes of body that CONTEXT_ALL may collect */
    struct bytes body;
    struct wait read, drain;
    struct list outside; /* waits of loadable modules; see plugin_api.h */
};

extern const char context_kind; /* its address is CONTEXT_KIND */
#define CONTEXT_KIND ((const void *)&context_kind)

/* [-0, +1, m] Pushes a new context for x. */
struct context *context_new(lua_State *L, struct exchange *x);

/* [-0, +0, m] Anchors c through the res at index res, which holds the req at
 * index req, and makes it x's app: from now on the exchange's events find it.
 * Last of what may raise. */
void context_begin(lua_State *L, struct context *c, int req, int res);

/* [-0, +0, v] The context of the req or res at index i (a table whose [1] it
 * is); raises where that is something else. */
struct context *context_check(lua_State *L, int i);

/* [-0, +0, -] The context at index i (the userdata itself), or NULL. */
struct context *context_test(lua_State *L, int i);

/* [-0, +1, -] Pushes the userdata of c, which must be anchored; nil for NULL.
 */
void context_push(lua_State *L, struct context *c);

/* Counts one more coroutine or wait of c; c may be NULL. */
static inline void context_hold(struct context *c)
{
    if (c != NULL)
        c->live++;
}

/* [-0, +0, -] One less. The last one frees the exchange, if the wire has let go
 * of it: at once, or, where Lua runs and somebody below on the C stack may be
 * at work on it, at the end of the turn. c may be NULL. */
void context_drop(lua_State *L, struct context *c);

/* A failure in c (NULL: the process's own) with that status: answers the
 * request with it, or cuts it off. text is for the client where status is
 * under 500 (else the standard phrase is sent). */
void context_fail(struct context *c, int status, struct str text);

/* [-0, +1, m] Pushes the table of luaserve.context() of c. */
void context_push_data(lua_State *L, struct context *c);

/* Contexts whose exchange is alive, for tests. */
unsigned context_count(void);

/* Frees what contexts hold outside of Lua, at the end of the process. */
void context_close(void);

#endif
