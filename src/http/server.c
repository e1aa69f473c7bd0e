/* Accepting, counting and closing; what is said on a connection is the
 * protocol's. At the limit of connections the one that has been idle for
 * longest makes room; where all are at work, new ones are left in the kernel's
 * queue: a client then waits instead of being refused. */
#include "http/server.h"

#include <sys/resource.h>

#include "base/mem.h"
#include "http/access.h"
#include "http/greeting.h"
#include "http/proxied.h"
#include "http/stats.h"
#include "net/conn.h"

static struct list all = {&all, &all};
static unsigned total;    /* connections of all servers */
static uint64_t answered; /* requests of all servers */
static uint64_t total_allowed;
static void (*on_drained)(void);

static void when_drained(struct defer *d)
{
    (void)d;
    on_drained();
}

static struct defer drained = {{&drained.link, &drained.link}, when_drained};

/* What the process's descriptors allow: a tenth is left for files, logs and
 * listeners, and no fewer than these need at the least. */
static uint64_t most_connections(void)
{
    struct rlimit files;
    uint64_t rest;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1024;
    rest = files.rlim_cur / 10;
    if (rest < SERVER_FILES)
        rest = SERVER_FILES;
    return files.rlim_cur > rest ? files.rlim_cur - rest : 1;
}

void server_limit_all(uint64_t most)
{
    total_allowed = most > 0 ? most : most_connections();
}

static bool is_full(const struct server *s)
{
    uint64_t own = s->limits.max_connections;

    return total >= total_allowed || (own > 0 && s->count >= own);
}

static void pause_all(struct server *s)
{
    struct list *at;

    s->paused = true;
    for (at = s->listeners.next; at != &s->listeners; at = at->next)
        listener_pause(LIST_ITEM(at, struct listener, link));
}

static void resume_all(struct server *s)
{
    struct list *at;

    s->paused = false;
    for (at = s->listeners.next; at != &s->listeners; at = at->next)
        listener_resume(LIST_ITEM(at, struct listener, link));
}

/* Closes the connection that has been idle for longest, but not newest. */
static void evict(struct server *s, const struct conn *newest)
{
    struct list *at;

    for (at = s->conns.next; at != &s->conns; at = at->next) {
        struct conn *c = LIST_ITEM(at, struct conn, link);

        if (c != newest && c->protocol->is_idle(c) && !conn_has_input(c)) {
            conn_close(c);
            return;
        }
    }
}

/* Has every server accept again that waited for room. */
static void resume_paused(void)
{
    struct list *at;

    for (at = all.next; at != &all; at = at->next) {
        struct server *s = LIST_ITEM(at, struct server, link);

        if (s->paused && !is_full(s))
            resume_all(s);
    }
}

/* Tells, after the last connection, those who wait for that. */
static void when_empty(struct server *s)
{
    if (s->closing && s->count == 0)
        loop_defer(s->loop, &s->closed);
    if (on_drained != NULL && total == 0)
        loop_defer(s->loop, &drained);
}

static void take(struct server *s, int fd, const struct addr *peer,
                 struct tls_server *tls)
{
    struct conn *c = greeting_open(s->loop, fd, peer, &s->conns, s, tls,
                                   s->limits.tls_timeout);

    c->write_timeout = s->limits.write_timeout;
    if (is_full(s))
        evict(s, c);
    s->count++;
    s->idle++;
    total++;
    if (s->tells_connections && tls == NULL)
        s->handler->on_connect(c);
}

/* ---- behind a proxy that names its clients */

/* One that waits for its header counts as a connection. */
static void uncount(struct server *s)
{
    s->count--;
    total--;
}

static void on_ready(void *owner, int fd, const struct addr *peer)
{
    struct server *s = owner;

    uncount(s);
    take(s, fd, peer, s->tls);
}

static void on_refused(void *owner)
{
    struct server *s = owner;

    uncount(s);
    resume_paused();
    when_empty(s);
}

static void await_header(struct server *s, int fd, const struct addr *peer)
{
    struct proxied *p = proxied_open(s->loop, fd, peer);

    p->owner = s;
    p->on_ready = on_ready;
    p->on_refused = on_refused;
    list_push(&s->heralded, &p->link);
    s->count++;
    total++;
}

static void on_accept(struct listener *l, int fd, const struct addr *peer)
{
    struct server *s = l->owner;

    if (s->proxied)
        await_header(s, fd, peer);
    else
        take(s, fd, peer, s->tls);
}

void server_inject(struct server *s, int fd)
{
    struct addr peer; /* who asks for addresses finds one */

    addr_from_ip("127.0.0.1", 0, &peer);
    take(s, fd, &peer, NULL);
}

static void on_closed(struct defer *d)
{
    struct server *s = LIST_ITEM(d, struct server, closed);

    if (s->on_closed != NULL)
        s->on_closed(s);
}

struct server *server_new(struct loop *loop, const struct limits *limits,
                          const struct handler *handler, void *app)
{
    struct server *s = mem_zalloc(sizeof *s);

    s->loop = loop;
    s->limits = *limits;
    s->handler = handler;
    s->app = app;
    list_init(&s->listeners);
    list_init(&s->conns);
    list_init(&s->heralded);
    list_push(&all, &s->link);
    loop_defer_init(&s->closed, on_closed);
    return s;
}

static struct listener *attach(struct server *s, struct listener *l)
{
    l->owner = s;
    l->on_accept = on_accept;
    list_push(&s->listeners, &l->link);
    s->closing = false;
    return l;
}

struct listener *server_listen(struct server *s, const struct addr *addr,
                               int backlog, const char **syscall)
{
    struct listener *l = listener_open(s->loop, addr, backlog, syscall);

    return l != NULL ? attach(s, l) : NULL;
}

struct listener *server_adopt(struct server *s, int fd)
{
    struct listener *l = listener_adopt(s->loop, fd);

    return l != NULL ? attach(s, l) : NULL;
}

void server_release(struct server *s, int tag)
{
    struct list *at, *next;

    for (at = s->listeners.next; at != &s->listeners; at = next) {
        struct listener *l = LIST_ITEM(at, struct listener, link);

        next = at->next;
        if (l->adopted && l->tag == tag)
            listener_close(l);
    }
}

static void each_conn(struct server *s, void (*fn)(struct conn *c))
{
    struct list *at, *next;

    for (at = s->conns.next; at != &s->conns; at = next) {
        next = at->next;
        fn(LIST_ITEM(at, struct conn, link));
    }
}

static void shut(struct conn *c)
{
    c->protocol->on_shutdown(c);
}

void server_close(struct server *s)
{
    struct list *at;

    s->closing = true;
    while (!list_empty(&s->listeners)) {
        struct listener *l =
            LIST_ITEM(s->listeners.next, struct listener, link);

        listener_accept(l); /* closing would reset those in its queue */
        listener_close(l);
    }
    for (at = s->heralded.next; at != &s->heralded; at = at->next)
        proxied_hurry(LIST_ITEM(at, struct proxied, link));
    each_conn(s, shut);
    if (s->count == 0)
        loop_defer(s->loop, &s->closed);
}

static void shut_idle(struct conn *c)
{
    if (!c->protocol->is_idle(c))
        return;
    conn_finish(c, CONN_LINGER_IDLE);
    if (c->protocol->on_flush != NULL)
        conn_want_flush(c); /* for a last word */
}

void server_close_idle(struct server *s)
{
    each_conn(s, shut_idle);
}

void server_abort(struct server *s)
{
    each_conn(s, conn_close);
    while (!list_empty(&s->heralded)) {
        proxied_close(LIST_ITEM(s->heralded.next, struct proxied, link));
        on_refused(s);
    }
}

void server_free(struct server *s)
{
    loop_undefer(&s->closed);
    list_remove(&s->link);
    mem_free(s);
}

static void drain_all(struct loop *loop, void (*fn)(void), bool retiring)
{
    struct list *at;

    on_drained = fn;
    for (at = all.next; at != &all; at = at->next)
        LIST_ITEM(at, struct server, link)->retiring = retiring;
    for (at = all.next; at != &all; at = at->next)
        server_close(LIST_ITEM(at, struct server, link));
    if (total == 0)
        loop_defer(loop, &drained);
}

void server_drain(struct loop *loop, void (*fn)(void))
{
    drain_all(loop, fn, false);
}

void server_retire(struct loop *loop, void (*fn)(void))
{
    drain_all(loop, fn, true);
}

unsigned server_connections(void)
{
    return total;
}

uint64_t server_requests(void)
{
    return answered;
}

void server_conn_busy(struct server *s)
{
    if (--s->idle == 0 && is_full(s))
        pause_all(s);
}

void server_conn_idle(struct server *s, struct conn *c)
{
    s->idle++;
    list_remove(&c->link);
    list_push(&s->conns, &c->link);
    if (s->paused) /* whoever comes next takes its place */
        resume_all(s);
}

void server_conn_closed(struct server *s, struct conn *c, bool idle)
{
    s->count--;
    s->idle -= idle;
    total--;
    if (c->app != NULL)
        s->handler->on_disconnect(c);
    resume_paused();
    when_empty(s);
}

static struct str field(const struct exchange *x, enum header_id id)
{
    struct header *h = headers_find(&x->request, id, 0);

    return h != NULL ? h->value : (struct str){NULL, 0};
}

/* What finds a request again elsewhere: its id as the client was told it, else
 * as it came, and the trace that it is a part of (W3C Trace Context). */
static void identify(const struct exchange *x, struct access_entry *entry)
{
    const struct header *id = headers_get(&x->response, STR("x-request-id"), 0);
    const struct header *trace =
        headers_get(&x->request, STR("traceparent"), 0);

    if (id == NULL)
        id = headers_get(&x->request, STR("x-request-id"), 0);
    if (id != NULL)
        entry->id = id->value;
    if (trace != NULL)
        entry->trace = trace->value;
}

void server_log(const struct exchange *x)
{
    struct loop *loop = x->server->loop;
    char ip[ADDR_IP_SIZE];
    struct addr remote;
    struct access_entry entry;

    x->server->served++;
    answered++;
    if (stats_enabled)
        stats_count(x, x->head_sent ? x->status : 499);
    if (!access_enabled())
        return;
    conn_peer(x->codec->conn(x), &remote);
    entry = (struct access_entry){
        .remote = str_of(addr_ip(&remote, ip)),
        .method = x->method,
        .target = x->target,
        .referer = field(x, HEADER_REFERER),
        .user_agent = field(x, HEADER_USER_AGENT),
        .bytes = x->sent,
        .duration = loop_now(loop) - x->began,
        .time = (time_t)loop_wall(loop),
        .version = x->version,
        .status = x->head_sent ? x->status : 499, /* the client left */
    };
    if (access_has_ids())
        identify(x, &entry);
    access_write(&entry);
}
