/* Statements are prepared once for each connection and kept, the one that was
 * not used for longest goes. Rows are collected whole, within a limit: a cursor
 * that waits for Lua would hold a transaction open. */
#include "bind/sqlite_query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

void *sqlite_query_alloc(size_t n)
{
    return checked(calloc(1, n));
}

/* ---- memory of a query: a block, which the next one uses again, since blocks
 * of malloc that one thread takes and another frees are dear */

struct extra {
    struct extra *next;
    max_align_t bytes[];
};

static struct query *spare;
static int spares;

static void *extra(struct query *q, size_t n)
{
    struct extra *e = checked(malloc(sizeof *e + n));

    e->next = q->extra;
    q->extra = e;
    return e->bytes;
}

void *sqlite_query_take(struct query *q, size_t n)
{
    size_t at = (q->used + sizeof(void *) - 1) & ~(sizeof(void *) - 1);

    if (at > sizeof q->room || n > sizeof q->room - at)
        return extra(q, n);
    q->used = at + n;
    return q->room + at;
}

char *sqlite_query_copy(struct query *q, const char *p, size_t n)
{
    char *text = sqlite_query_take(q, n + 1);

    memcpy(text, p, n);
    text[n] = 0;
    return text;
}

struct query *sqlite_query_new(struct connection *c, enum kind kind,
                               const char *sql, size_t n)
{
    struct query *q = spare;

    if (q == NULL) {
        q = checked(malloc(sizeof *q));
    } else {
        spare = q->next;
        spares--;
    }
    memset(q, 0, offsetof(struct query, message));
    q->message[0] = 0;
    q->kind = kind;
    q->c = c;
    q->cells = q->first_cells;
    q->cap = SQLITE_QUERY_CELLS;
    q->sql = sqlite_query_copy(q, sql, n);
    return q;
}

static int may_keep(void)
{
#ifdef __SANITIZE_ADDRESS__
    return 0; /* or the use of what was freed goes unseen */
#else
    return spares < SQLITE_QUERY_SPARE;
#endif
}

void sqlite_query_free(struct query *q)
{
    struct extra *e;

    while ((e = q->extra) != NULL) {
        q->extra = e->next;
        free(e);
    }
    if (q->cells != q->first_cells)
        free(q->cells);
    if (!may_keep()) {
        free(q);
        return;
    }
    q->next = spare;
    spare = q;
    spares++;
}

/* ---- running */

static int fail(struct query *q, int status)
{
    q->status = status;
    snprintf(q->message, sizeof q->message, "%s",
             q->c->db != NULL ? sqlite3_errmsg(q->c->db)
                              : sqlite3_errstr(status));
    return -1;
}

int sqlite_query_fail(struct query *q, int status, const char *message)
{
    q->status = status;
    snprintf(q->message, sizeof q->message, "%s", message);
    return -1;
}

static void open_database(struct query *q)
{
    int status = sqlite3_open_v2(q->sql, &q->c->db, q->flags, NULL);

    if (status == SQLITE_OK) {
        sqlite3_busy_timeout(q->c->db, SQLITE_QUERY_BUSY_TIMEOUT);
        sqlite3_extended_result_codes(q->c->db, 1);
        return;
    }
    fail(q, status);
    sqlite3_close(q->c->db);
    q->c->db = NULL;
}

/* The cached statement of that text, or an empty place for it: the one that was
 * not used for longest. */
static struct statement *place_for(struct connection *c, const char *sql)
{
    struct statement *oldest = &c->cache[0];
    int i;

    for (i = 0; i < SQLITE_QUERY_CACHED; i++) {
        struct statement *s = &c->cache[i];

        if (s->sql != NULL && strcmp(s->sql, sql) == 0)
            return s;
        if (s->used < oldest->used)
            oldest = s;
    }
    sqlite3_finalize(oldest->stmt);
    free(oldest->sql);
    memset(oldest, 0, sizeof *oldest);
    return oldest;
}

static int bind_all(struct query *q, sqlite3_stmt *stmt)
{
    int i, n = sqlite3_bind_parameter_count(stmt), status = SQLITE_OK;
    char text[96];

    if (n != q->nparams) {
        snprintf(text, sizeof text,
                 "the statement has %d parameters, %d values were given", n,
                 q->nparams);
        return sqlite_query_fail(q, SQLITE_RANGE, text);
    }
    for (i = 0; i < n && status == SQLITE_OK; i++) {
        struct value *v = &q->params[i];

        switch (v->type) {
        case SQLITE_INTEGER:
            status = sqlite3_bind_int64(stmt, i + 1, v->integer);
            break;
        case SQLITE_FLOAT:
            status = sqlite3_bind_double(stmt, i + 1, v->real);
            break;
        case SQLITE_TEXT:
            status = sqlite3_bind_text64(stmt, i + 1, v->text.p, v->text.n,
                                         SQLITE_STATIC, SQLITE_UTF8);
            break;
        case SQLITE_BLOB:
            status = sqlite3_bind_blob64(stmt, i + 1, v->text.p, v->text.n,
                                         SQLITE_STATIC);
            break;
        default:
            status = sqlite3_bind_null(stmt, i + 1);
        }
    }
    return status == SQLITE_OK ? 0 : fail(q, status);
}

static struct value *next_cell(struct query *q)
{
    if (q->ncells == q->cap) {
        bool first = q->cells == q->first_cells;

        q->cap *= 2;
        q->cells = checked(
            realloc(first ? NULL : q->cells, q->cap * sizeof *q->cells));
        if (first)
            memcpy(q->cells, q->first_cells, sizeof q->first_cells);
    }
    return &q->cells[q->ncells++];
}

static void keep_cell(struct query *q, sqlite3_stmt *stmt, int column)
{
    struct value *v = next_cell(q);
    const void *p;

    v->type = sqlite3_column_type(stmt, column);
    q->size += sizeof *v;
    switch (v->type) {
    case SQLITE_INTEGER:
        v->integer = sqlite3_column_int64(stmt, column);
        break;
    case SQLITE_FLOAT:
        v->real = sqlite3_column_double(stmt, column);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        p = v->type == SQLITE_TEXT
                ? (const void *)sqlite3_column_text(stmt, column)
                : sqlite3_column_blob(stmt, column);
        v->text.n = (size_t)sqlite3_column_bytes(stmt, column);
        v->text.p = sqlite_query_copy(q, p != NULL ? p : "", v->text.n);
        q->size += v->text.n;
        break;
    default:
        break;
    }
}

static void keep_names(struct query *q, sqlite3_stmt *stmt)
{
    int i;

    q->ncolumns = sqlite3_column_count(stmt);
    q->names =
        sqlite_query_take(q, ((size_t)q->ncolumns + 1) * sizeof *q->names);
    for (i = 0; i < q->ncolumns; i++) {
        const char *name = sqlite3_column_name(stmt, i);

        q->names[i] =
            sqlite_query_copy(q, name ? name : "", name ? strlen(name) : 0);
    }
}

/* Steps through the rows. */
static int collect(struct query *q, sqlite3_stmt *stmt)
{
    int status, i;

    keep_names(q, stmt);
    while ((status = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (i = 0; i < q->ncolumns; i++)
            keep_cell(q, stmt, i);
        if (q->size > q->limit)
            return sqlite_query_fail(
                q, SQLITE_TOOBIG,
                "the result is larger than maxResultBytes: ask "
                "for less, with LIMIT");
    }
    return status == SQLITE_DONE ? 0 : fail(q, status);
}

static int run_statement(struct query *q, sqlite3_stmt *stmt)
{
    int64_t before = sqlite3_total_changes(q->c->db);
    int result = bind_all(q, stmt);

    if (result == 0)
        result = collect(q, stmt);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    q->changes = sqlite3_total_changes(q->c->db) - before;
    q->rowid = sqlite3_last_insert_rowid(q->c->db);
    return result;
}

/* Several statements in one text, which take no parameters and whose rows
 * nobody wants. */
static void run_many(struct query *q)
{
    int64_t before = sqlite3_total_changes(q->c->db);
    int status = sqlite3_exec(q->c->db, q->sql, NULL, NULL, NULL);

    if (status != SQLITE_OK)
        fail(q, status);
    q->changes = sqlite3_total_changes(q->c->db) - before;
    q->rowid = sqlite3_last_insert_rowid(q->c->db);
}

static int is_blank(const char *p)
{
    return p[strspn(p, " \t\r\n;")] == 0;
}

static void run_query(struct query *q)
{
    struct statement *s = place_for(q->c, q->sql);
    const char *tail = "";

    s->used = ++q->c->clock;
    if (s->stmt == NULL) {
        int status = sqlite3_prepare_v3(
            q->c->db, q->sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, &tail);

        if (status != SQLITE_OK) {
            fail(q, status);
            return;
        }
        if (s->stmt == NULL) { /* a comment, or nothing */
            sqlite_query_fail(q, SQLITE_MISUSE,
                              "there is no statement in the text");
            return;
        }
        if (!is_blank(tail)) {
            sqlite3_finalize(s->stmt);
            s->stmt = NULL;
            if (q->nparams == 0)
                run_many(q);
            else
                sqlite_query_fail(
                    q, SQLITE_MISUSE,
                    "a text of several statements takes no values");
            return;
        }
        s->sql = checked(strdup(q->sql));
    }
    run_statement(q, s->stmt);
}

void sqlite_query_run(struct query *q)
{
    if (q->kind == SQLITE_QUERY_OPEN)
        open_database(q);
    else if (q->c->db == NULL)
        sqlite_query_fail(q, SQLITE_MISUSE, "the connection is closed");
    else
        run_query(q);
}

const char *sqlite_query_code(const struct query *q)
{
    int status = q->status;

    switch (status & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "SQLITE_BUSY";
    case SQLITE_CONSTRAINT:
        return status == SQLITE_CONSTRAINT_UNIQUE ||
                       status == SQLITE_CONSTRAINT_PRIMARYKEY
                   ? "SQLITE_CONSTRAINT_UNIQUE"
               : status == SQLITE_CONSTRAINT_FOREIGNKEY
                   ? "SQLITE_CONSTRAINT_FOREIGNKEY"
               : status == SQLITE_CONSTRAINT_NOTNULL
                   ? "SQLITE_CONSTRAINT_NOTNULL"
                   : "SQLITE_CONSTRAINT";
    case SQLITE_INTERRUPT:
        return "SQLITE_INTERRUPT";
    case SQLITE_CANTOPEN:
        return "SQLITE_CANTOPEN";
    case SQLITE_READONLY:
        return "SQLITE_READONLY";
    case SQLITE_FULL:
        return "SQLITE_FULL";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "SQLITE_CORRUPT";
    case SQLITE_TOOBIG:
        return "SQLITE_TOOBIG";
    case SQLITE_MISUSE:
        return "SQLITE_MISUSE";
    case SQLITE_RANGE:
        return "SQLITE_RANGE";
    default:
        return "SQLITE_ERROR";
    }
}

void sqlite_query_close(struct connection *c)
{
    int i;

    for (i = 0; i < SQLITE_QUERY_CACHED; i++) {
        sqlite3_finalize(c->cache[i].stmt);
        free(c->cache[i].sql);
    }
    sqlite3_close(c->db);
    free(c);
}
