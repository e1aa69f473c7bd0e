/* The part of the module "sqlite" that knows SQLite and neither Lua nor
 * luaserve: connections, and queries, which run on any thread, one at a time
 * for each connection. A query holds copies of all that it is given, and its
 * rows. */
#ifndef BIND_SQLITE_QUERY_H
#define BIND_SQLITE_QUERY_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SQLITE_QUERY_CACHED = 64,         /* statements that a connection keeps */
    SQLITE_QUERY_BUSY_TIMEOUT = 5000, /* ms that others may hold the file */
    SQLITE_QUERY_MESSAGE = 512
};

/* A value on its way between Lua and SQLite. */
struct value {
    int type; /* SQLITE_INTEGER, _FLOAT, _TEXT, _BLOB or _NULL */
    union {
        int64_t integer;
        double real;
        struct {
            char *p;
            size_t n;
        } text;
    };
};

struct statement {
    char *sql;
    sqlite3_stmt *stmt;
    unsigned used; /* when it was used last */
};

struct connection {
    sqlite3 *db;
    struct statement cache[SQLITE_QUERY_CACHED];
    unsigned clock;
    struct query *running; /* one at a time */
    int closing;
    int telling; /* ends of queries that Lua is being told of */
};

enum kind { SQLITE_QUERY_OPEN, SQLITE_QUERY_RUN };

struct query {
    enum kind kind;
    struct connection *c;
    void *wait; /* the caller's */
    char *sql;  /* or the path to open */
    int flags;
    size_t limit; /* bytes of rows */
    struct value *params;
    int nparams;
    /* What came of it. */
    int status; /* SQLITE_OK, or an error */
    char message[SQLITE_QUERY_MESSAGE];
    char **names;
    int ncolumns;
    struct value *cells;
    size_t ncells, cap, size;
    int64_t changes, rowid;
};

/* malloc that aborts where there is no memory. */
void *sqlite_query_alloc(size_t n);

/* A copy of the n bytes at p, with a NUL behind them. */
char *sqlite_query_copy(const char *p, size_t n);

/* Makes a query for c with a copy of sql; the caller owns it. */
struct query *sqlite_query_new(struct connection *c, enum kind kind,
                               const char *sql, size_t n);

void sqlite_query_free(struct query *q);

/* Runs it, on any thread: q->status says how it went. */
void sqlite_query_run(struct query *q);

/* Has the query fail with that status and message. Returns -1. */
int sqlite_query_fail(struct query *q, int status, const char *message);

/* The name of q->status ("SQLITE_BUSY"). */
const char *sqlite_query_code(const struct query *q);

/* Closes the connection, which nothing runs on, and frees it. */
void sqlite_query_close(struct connection *c);

#endif
