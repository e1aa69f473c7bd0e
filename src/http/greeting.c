/* A table of protocols by their ALPN names (RFC 7301), and the protocol of
 * connections that have none yet. A client without ALPN gets HTTP/1.1, as one
 * without TLS does. */
#include "http/greeting.h"

#include "http/h1.h"
#include "http/h2.h"
#include "http/server.h"
#include "net/tls.h"

#define HTTP2_ONLY                                                             \
    "this server speaks HTTP/2 alone: the client has to offer h2 (ALPN)\n"
#define REFUSAL "this is an https port: ask for it with https://\n"

static const struct speaker {
    struct str name;
    const struct protocol *protocol;
    void (*start)(struct conn *c);
} speakers[] = {
    {{"h2", 2}, &h2_protocol, h2_start},
    {{"http/1.1", 8}, &h1_protocol, h1_start},
};

enum { SPEAKERS = sizeof speakers / sizeof speakers[0] };

static const struct speaker *find(struct str name)
{
    int i;

    for (i = 0; i < SPEAKERS; i++)
        if (str_eq(speakers[i].name, name))
            return &speakers[i];
    return NULL;
}

bool greeting_speaks(struct str name)
{
    return find(name) != NULL;
}

void greeting_offer(struct tls_server *tls)
{
    static const char refusal[] = "HTTP/1.1 400 Bad Request\r\n"
                                  "Connection: close\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 48\r\n\r\n" REFUSAL;
    int i;

    _Static_assert(sizeof REFUSAL - 1 == 48, "the length is in the head");
    for (i = 0; i < SPEAKERS; i++)
        tls_server_offer(tls, speakers[i].name);
    tls->plain = (struct str){refusal, sizeof refusal - 1};
}

/* ---- before the handshake is over */

#define GREETING_LAST 1.0 /* seconds for a handshake once the server closes */

static size_t on_data(struct conn *c, char *p, size_t n)
{
    (void)c;
    (void)p;
    return n; /* of a client that was refused */
}

static void on_eof(struct conn *c)
{
    conn_finish(c, 0);
}

static void on_drain(struct conn *c)
{
    (void)c;
}

static void on_close(struct conn *c)
{
    server_conn_closed(c->owner, c, true);
}

static bool is_idle(const struct conn *c)
{
    (void)c;
    return true;
}

/* A client that names no protocol can only be one of HTTP/1.1. */
static void refuse_http1(struct conn *c)
{
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\n"
                                  "Connection: close\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 67\r\n\r\n" HTTP2_ONLY;

    _Static_assert(sizeof HTTP2_ONLY - 1 == 67, "the length is in the head");
    buf_append(conn_out(c), refusal, sizeof refusal - 1);
    conn_finish(c, CONN_LINGER_SECONDS);
}

/* A client that is being greeted has a request, and is told with its answer:
 * one that does not take its time. */
static void on_shutdown(struct conn *c)
{
    deadline_in(&c->deadline, GREETING_LAST);
}

static void on_open(struct conn *c)
{
    const struct speaker *speaker = find(tls_protocol(c));
    struct server *s = c->owner;

    if (speaker == NULL && !tls_server_offers(s->tls, STR("http/1.1"))) {
        refuse_http1(c);
        return;
    }
    if (speaker == NULL)
        speaker = find(STR("http/1.1"));
    c->protocol = speaker->protocol;
    speaker->start(c);
    if (s->tells_connections)
        s->handler->on_connect(c);
    if (s->closing && !c->dead)
        c->protocol->on_shutdown(c);
}

static const struct protocol greeting_protocol = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drain = on_drain,
    .on_deadline = conn_close,
    .on_shutdown = on_shutdown,
    .is_idle = is_idle,
    .on_close = on_close,
    .on_open = on_open,
};

struct conn *greeting_open(struct loop *loop, int fd, const struct addr *peer,
                           struct list *list, void *owner,
                           struct tls_server *tls, double timeout)
{
    struct conn *c;

    if (tls == NULL) {
        c = conn_open(loop, fd, peer, &plain_transport, &h1_protocol, list);
        c->owner = owner;
        h1_start(c);
        return c;
    }
    c = conn_open(loop, fd, peer, &tls_transport, &greeting_protocol, list);
    c->owner = owner;
    tls_attach(c, tls);
    deadline_in(&c->deadline, timeout);
    return c;
}
