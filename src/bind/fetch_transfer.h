/* A transfer: one request to a server and its answer, by libcurl. Its callbacks
 * only take notes: who waits for the transfer is told by fetch_transfer_look,
 * when libcurl has returned, since Lua that goes on may call libcurl again.
 * Used by bind/fetch.c (the face to Lua) and fetch_multi.c (the loop). */
#ifndef BIND_FETCH_TRANSFER_H
#define BIND_FETCH_TRANSFER_H

#include <curl/curl.h>
#include <stdint.h>

#include "bind/queue.h"

enum {
    FETCH_TRANSFER_MARK = 128 * 1024,     /* bytes of a body that wait */
    FETCH_TRANSFER_HEAD_MAX = 256 * 1024, /* bytes of a head, and of trailers */
    FETCH_TRANSFER_REASON = 512
};

enum fetch_wanted { FETCH_NOTHING, FETCH_HEAD, FETCH_CHUNK, FETCH_ALL };

struct transfer {
    struct transfer *next, *next_noted; /* of all; of those to be looked at */
    const struct plugin *plugin;
    CURL *easy; /* NULL when it is over */
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];

    struct queue body;    /* of the request: what is to be sent */
    size_t sent;          /* bytes of it that libcurl has, if it is whole */
    bool streams, ended;  /* it comes in chunks; the last one is there */
    struct queue head;    /* of the answer: lines */
    struct queue trailer; /* lines, as well */
    struct queue in;      /* its body, as far as nobody has taken it */
    size_t limit;         /* bytes of it that may wait */
    bool whole;           /* it is wanted whole: nothing is held back */
    long status, version;
    bool head_done;
    const char *too_large; /* what is: its code */
    bool paused_in, paused_out;

    bool done; /* with failure and reason, where it failed */
    const char *failure;
    char reason[FETCH_TRANSFER_REASON];

    struct plugin_wait *reader, *writer;
    struct plugin_timer *timer, *write_timer;
    enum fetch_wanted wanted;
    bool noted, freed;
    int looking;
};

/* Sets the callbacks of t->easy, which has no others. */
void fetch_transfer_bind(struct transfer *t);

/* libcurl is done with t: takes what is known of the failure from it. */
void fetch_transfer_done(struct transfer *t, CURLcode result);

/* Ends t, which is in no callback of libcurl, with that failure. */
void fetch_transfer_end(struct transfer *t, const char *code,
                        const char *reason);

/* Lets libcurl go on with what was paused for want of room or bytes. */
void fetch_transfer_resume(struct transfer *t);

/* Whether what t->wanted says is there, or never will be. */
bool fetch_transfer_ready(const struct transfer *t);

/* [-0, +n, m] Pushes that, arg being t, as plugin.h's wait_settle takes it. */
int fetch_transfer_push(lua_State *L, void *arg);

/* Settles the waits of t that can be. May free t. */
void fetch_transfer_look(struct transfer *t);

/* Frees t: at once, or when looking at it has ended. */
void fetch_transfer_free(struct transfer *t);

#endif
