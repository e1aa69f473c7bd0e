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
    SQLITE_QUERY_CACHED = 64, /* statements that a connection keeps */
    SQLITE_QUERY_ROOM = 2048, /* bytes of what most queries copy */
    SQLITE_QUERY_CELLS = 24,  /* values that most results have at most */
    SQLITE_QUERY_SPARE = 256, /* queries that are kept for the next */
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
    int telling;             /* ends of queries that Lua is being told of */
    struct readers *readers; /* whose queries it runs, or NULL */
    struct connection *next_reader; /* of those that are idle */
};

enum kind { SQLITE_QUERY_OPEN, SQLITE_QUERY_RUN };

struct query {
    enum kind kind;
    struct connection *c;    /* NULL: none has it yet */
    struct readers *readers; /* whose it is, or NULL */
    struct query *next;      /* in their queue; or that of spare ones */
    void *wait;              /* the caller's */
    char *sql;               /* or the path to open */
    int flags;
    size_t limit; /* bytes of rows */
    struct value *params;
    int nparams;
    /* What came of it. */
    int status; /* SQLITE_OK, or an error */
    char **names;
    int ncolumns;
    struct value *cells;
    size_t ncells, cap, size;
    int64_t changes, rowid;
    /* Where all of this is, and what did not fit. */
    struct extra *extra;
    size_t used;
    char message[SQLITE_QUERY_MESSAGE];
    struct value first_cells[SQLITE_QUERY_CELLS];
    char room[SQLITE_QUERY_ROOM];
};

/* malloc that aborts where there is no memory. */
void *sqlite_query_alloc(size_t n);

/* n bytes that live as long as the query. */
void *sqlite_query_take(struct query *q, size_t n);

/* A copy of the n bytes at p, with a NUL behind them, that lives as long. */
char *sqlite_query_copy(struct query *q, const char *p, size_t n);

/* Makes a query for c with a copy of sql; the caller owns it. It and its end
 * are the loop's. */
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
