/* libcurl on the loop: all transfers of the process, which share connections,
 * names and TLS sessions. Used by bind/fetch.c and fetch_transfer.c; tells
 * transfers that they are done. */
#ifndef BIND_FETCH_MULTI_H
#define BIND_FETCH_MULTI_H

#include "bind/fetch_transfer.h"

enum {
    FETCH_MULTI_IDLE = 64,   /* connections that are kept for the next one */
    FETCH_MULTI_TOTAL = 1024 /* at a time; more transfers wait for one */
};

/* Makes it, once. False where libcurl cannot be used. */
bool fetch_multi_open(const struct plugin *plugin);

/* Ends all transfers and frees what they share: the process ends. */
void fetch_multi_close(void);

/* Shares what transfers share with t->easy, and starts it; t is borrowed until
 * fetch_multi_remove. */
void fetch_multi_add(struct transfer *t);

/* Stops and frees t->easy, if any; in no callback of libcurl. */
void fetch_multi_remove(struct transfer *t);

/* Has t looked at when libcurl has returned. */
void fetch_multi_note(struct transfer *t);

/* Looks at those that were noted; call it when libcurl has returned. */
void fetch_multi_look(void);

#endif
