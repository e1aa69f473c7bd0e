/* The connections of a database that read, and the queries that wait for one
 * of them. A connection on a thread takes one query after another, as long as
 * there are any, and what each found is told as soon as it is there: so a busy
 * loop wakes a thread once for many queries. Knows no Lua; all functions are
 * the loop's. */
#ifndef BIND_SQLITE_READERS_H
#define BIND_SQLITE_READERS_H

#include <stdbool.h>

#include "bind/sqlite_query.h"

struct plugin;
struct readers;

/* Makes them, without a connection. told is called once for each query that
 * was given to sqlite_readers_run, when it is over, and frees it. */
struct readers *sqlite_readers_new(const struct plugin *plugin,
                                   void (*told)(struct query *q));

/* Fails what waits, closes what is idle now and the others when they are; then
 * frees r. */
void sqlite_readers_free(struct readers *r);

/* Takes c, which is open and nobody uses. */
void sqlite_readers_add(struct readers *r, struct connection *c);

/* Whether a query would be run at once. */
bool sqlite_readers_idle(const struct readers *r);

/* Takes q, made for no connection, and runs it when one is free. */
void sqlite_readers_run(struct readers *r, struct query *q);

/* Nobody waits for q any more: it is interrupted, or not begun. */
void sqlite_readers_stop(struct readers *r, struct query *q);

/* Fails all queries that no connection has begun. */
void sqlite_readers_fail(struct readers *r, int status, const char *message);

#endif
