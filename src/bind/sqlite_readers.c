/* The queue is shared with the threads, under a lock; connections are idle or
 * at work as the loop sees it, so that none is closed under a thread. A query
 * whose c is NULL is in the queue. What a connection runs changes under the
 * lock only: sqlite3_interrupt hits the query that it is meant for. */
#include "bind/sqlite_readers.h"

#include <pthread.h>
#include <stdlib.h>

#include "script/plugin.h"

/* Then other jobs of the pool have their turn. */
enum { QUERIES_IN_A_ROW = 64 };

struct readers {
    const struct plugin *plugin;
    void (*told)(struct query *q);
    struct connection *idle;
    int at_work; /* connections */
    bool freed;

    pthread_mutex_t lock; /* of the queue, and of what connections run */
    struct query *first, **last;
};

struct readers *sqlite_readers_new(const struct plugin *plugin,
                                   void (*told)(struct query *q))
{
    struct readers *r = sqlite_query_alloc(sizeof *r);

    r->plugin = plugin;
    r->told = told;
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

static struct query *shift(struct readers *r)
{
    struct query *q = r->first;

    if (q == NULL)
        return NULL;
    r->first = q->next;
    if (r->first == NULL)
        r->last = &r->first;
    q->next = NULL;
    return q;
}

/* ---- on a thread */

static void on_told(void *arg, bool cancelled)
{
    struct query *q = arg;

    (void)cancelled;
    q->readers->told(q);
}

static void drain(void *arg)
{
    struct connection *c = arg;
    struct readers *r = c->readers;
    struct query *q;
    int i;

    pthread_mutex_lock(&r->lock);
    for (i = 0; i < QUERIES_IN_A_ROW && (q = shift(r)) != NULL; i++) {
        q->c = c;
        c->running = q;
        pthread_mutex_unlock(&r->lock);
        sqlite_query_run(q);
        pthread_mutex_lock(&r->lock);
        c->running = NULL;
        pthread_mutex_unlock(&r->lock);
        r->plugin->post(on_told, q);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- on the loop */

static bool has_queries(struct readers *r)
{
    bool has;

    pthread_mutex_lock(&r->lock);
    has = r->first != NULL;
    pthread_mutex_unlock(&r->lock);
    return has;
}

static void on_drained(void *arg, bool cancelled);

static void start(struct readers *r, struct connection *c)
{
    r->at_work++;
    r->plugin->work(drain, on_drained, c);
}

static void free_when_done(struct readers *r)
{
    if (!r->freed || r->at_work > 0)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void on_drained(void *arg, bool cancelled)
{
    struct connection *c = arg;
    struct readers *r = c->readers;

    r->at_work--;
    if (cancelled)
        sqlite_readers_fail(r, SQLITE_INTERRUPT, "the process ends");
    if (r->freed) {
        sqlite_query_close(c);
        free_when_done(r);
    } else if (has_queries(r)) {
        start(r, c);
    } else {
        c->next_reader = r->idle;
        r->idle = c;
    }
}

void sqlite_readers_add(struct readers *r, struct connection *c)
{
    c->readers = r;
    r->at_work++;
    on_drained(c, false);
}

bool sqlite_readers_idle(const struct readers *r)
{
    return r->idle != NULL;
}

void sqlite_readers_run(struct readers *r, struct query *q)
{
    struct connection *c = r->idle;

    q->readers = r;
    pthread_mutex_lock(&r->lock);
    *r->last = q;
    r->last = &q->next;
    pthread_mutex_unlock(&r->lock);
    if (c == NULL)
        return;
    r->idle = c->next_reader;
    start(r, c);
}

/* Takes q out of the queue. */
static void unlink_query(struct readers *r, struct query *q)
{
    struct query **at = &r->first;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (r->last == &q->next)
        r->last = at;
    q->next = NULL;
}

void sqlite_readers_stop(struct readers *r, struct query *q)
{
    bool waits;

    pthread_mutex_lock(&r->lock);
    waits = q->c == NULL;
    if (waits)
        unlink_query(r, q);
    else if (q->c->running == q)
        sqlite3_interrupt(q->c->db);
    pthread_mutex_unlock(&r->lock);
    if (!waits)
        return;
    sqlite_query_fail(q, SQLITE_INTERRUPT, "interrupted");
    r->told(q);
}

void sqlite_readers_fail(struct readers *r, int status, const char *message)
{
    struct query *q;

    do {
        pthread_mutex_lock(&r->lock);
        q = shift(r);
        pthread_mutex_unlock(&r->lock);
        if (q != NULL) {
            sqlite_query_fail(q, status, message);
            r->told(q);
        }
    } while (q != NULL);
}

void sqlite_readers_free(struct readers *r)
{
    struct connection *c;

    if (r->freed)
        return;
    sqlite_readers_fail(r, SQLITE_MISUSE, "the database is closed");
    while ((c = r->idle) != NULL) {
        r->idle = c->next_reader;
        sqlite_query_close(c);
    }
    r->freed = true;
    free_when_done(r);
}
