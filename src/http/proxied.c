/* The bytes are looked at in the socket (MSG_PEEK) and only those of the header
 * are taken off it, so that what follows, TLS or not, is read as if nothing had
 * been there. A header that is cut in two, which hardly happens, is looked for
 * again a little later, as the socket stays readable. */
#include "http/proxied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { V1_MAX = 107, V2_HEAD = 16, TCP4 = 0x11, TCP6 = 0x21 };

#define RETRY 0.02 /* seconds */

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- reading */

/* Sets the client's address; an IP of the wrong kind is no good. */
static int set_peer(struct addr *peer, int family, const char *ip,
                    unsigned long port)
{
    unsigned char bytes[16];

    if (port > 65535 || inet_pton(family, ip, bytes) != 1)
        return -1;
    return addr_from_ip(ip, (uint16_t)port, peer);
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443", without its CRLF. */
static int read_line(const char *line, struct addr *peer)
{
    char kind[8], from[64], to[64], rest[2];
    unsigned long port, local;
    int family;

    if (strncmp(line, "PROXY UNKNOWN", 13) == 0 &&
        (line[13] == '\0' || line[13] == ' '))
        return 0;
    if (sscanf(line, "PROXY %7s %63s %63s %5lu %5lu%1s", kind, from, to, &port,
               &local, rest) != 5)
        return -1;
    if (strcmp(kind, "TCP4") != 0 && strcmp(kind, "TCP6") != 0)
        return -1;
    family = kind[3] == '4' ? AF_INET : AF_INET6;
    return set_peer(peer, family, from, port);
}

static enum proxied_result parse_v1(const char *p, size_t n, size_t *size,
                                    struct addr *peer)
{
    size_t most = n < V1_MAX ? n : V1_MAX;
    const char *end = memchr(p, '\n', most);
    char line[V1_MAX];

    if (end == NULL)
        return n < V1_MAX ? PROXIED_MORE : PROXIED_BAD;
    *size = (size_t)(end - p) + 1;
    if (*size < 2 || end[-1] != '\r' || memchr(p, '\0', *size) != NULL)
        return PROXIED_BAD;
    memcpy(line, p, *size - 2);
    line[*size - 2] = '\0';
    return read_line(line, peer) < 0 ? PROXIED_BAD : PROXIED_OK;
}

/* The addresses of version 2: source, destination, their ports. */
static int read_addresses(int kind, const unsigned char *at, size_t n,
                          struct addr *peer)
{
    int family = kind == TCP4 ? AF_INET : AF_INET6;
    size_t length = kind == TCP4 ? 4 : 16;
    char ip[INET6_ADDRSTRLEN];
    unsigned port;

    if (kind != TCP4 && kind != TCP6)
        return 0; /* unspecified, Unix, datagrams: whoever is connected */
    if (n < 2 * length + 4)
        return -1;
    inet_ntop(family, at, ip, sizeof ip);
    port = (unsigned)at[2 * length] << 8 | at[2 * length + 1];
    return set_peer(peer, family, ip, port);
}

static enum proxied_result parse_v2(const char *p, size_t n, size_t *size,
                                    struct addr *peer)
{
    const unsigned char *at = (const unsigned char *)p;
    size_t length;

    if (n < V2_HEAD)
        return PROXIED_MORE;
    length = (size_t)at[14] << 8 | at[15];
    *size = V2_HEAD + length;
    if (at[12] >> 4 != 2 || *size > PROXIED_HEADER_MAX)
        return PROXIED_BAD;
    if (n < *size)
        return PROXIED_MORE;
    if (at[12] == 0x20) /* LOCAL: the proxy speaks for itself */
        return PROXIED_OK;
    if (at[12] != 0x21 ||
        read_addresses(at[13], at + V2_HEAD, length, peer) < 0)
        return PROXIED_BAD;
    return PROXIED_OK;
}

enum proxied_result proxied_parse(const char *p, size_t n, size_t *size,
                                  struct addr *peer)
{
    static const char name[] = {'P', 'R', 'O', 'X', 'Y', ' '};
    size_t a = n < sizeof name ? n : sizeof name;
    size_t b = n < sizeof signature ? n : sizeof signature;

    if (memcmp(p, name, a) == 0)
        return a < sizeof name ? PROXIED_MORE : parse_v1(p, n, size, peer);
    if (memcmp(p, signature, b) == 0)
        return b < sizeof signature ? PROXIED_MORE : parse_v2(p, n, size, peer);
    return PROXIED_BAD;
}

/* ---- waiting */

/* Stops waiting. Returns the descriptor. */
static int let_go(struct proxied *p)
{
    int fd = p->io.fd;

    ev_io_stop(p->loop->ev, &p->io);
    ev_timer_stop(p->loop->ev, &p->timer);
    ev_timer_stop(p->loop->ev, &p->retry);
    list_remove(&p->link);
    mem_free(p);
    return fd;
}

void proxied_close(struct proxied *p)
{
    close(let_go(p));
}

void proxied_hurry(struct proxied *p)
{
    ev_timer_stop(p->loop->ev, &p->timer);
    ev_timer_set(&p->timer, PROXIED_LAST, 0);
    ev_timer_start(p->loop->ev, &p->timer);
}

static void refuse(struct proxied *p, const char *why)
{
    void (*on_refused)(void *) = p->on_refused;
    void *owner = p->owner;
    char ip[ADDR_IP_SIZE];

    if (why != NULL)
        log_warn("a connection of %s is closed: %s (--proxy-protocol)",
                 addr_ip(&p->peer, ip), why);
    proxied_close(p);
    on_refused(owner);
}

static void accept_client(struct proxied *p, size_t size)
{
    void (*on_ready)(void *, int, const struct addr *) = p->on_ready;
    struct addr peer = p->peer;
    void *owner = p->owner;
    char taken[PROXIED_HEADER_MAX];
    int fd = let_go(p);

    if (recv(fd, taken, size, 0) != (ssize_t)size)
        log_debug("a header of the PROXY protocol is gone");
    on_ready(owner, fd, &peer);
}

static void look(struct proxied *p)
{
    char bytes[PROXIED_HEADER_MAX];
    ssize_t n = recv(p->io.fd, bytes, sizeof bytes, MSG_PEEK);
    size_t size = 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        refuse(p, NULL); /* a look whether we are there, as balancers do */
        return;
    }
    switch (proxied_parse(bytes, (size_t)n, &size, &p->peer)) {
    case PROXIED_OK:
        accept_client(p, size);
        return;
    case PROXIED_BAD:
        refuse(p, "it does not begin with a header of the PROXY protocol");
        return;
    case PROXIED_MORE:
        ev_io_stop(p->loop->ev, &p->io);
        ev_timer_set(&p->retry, RETRY, 0);
        ev_timer_start(p->loop->ev, &p->retry);
    }
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    (void)ev;
    (void)events;
    look(LIST_ITEM(io, struct proxied, io));
}

static void on_retry(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct proxied *p = LIST_ITEM(timer, struct proxied, retry);

    (void)events;
    ev_io_start(ev, &p->io);
}

static void on_late(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    (void)ev;
    (void)events;
    refuse(LIST_ITEM(timer, struct proxied, timer), NULL);
}

struct proxied *proxied_open(struct loop *loop, int fd, const struct addr *peer)
{
    struct proxied *p = mem_zalloc(sizeof *p);

    list_init(&p->link);
    p->loop = loop;
    p->peer = *peer;
    ev_io_init(&p->io, on_readable, fd, EV_READ);
    ev_io_start(loop->ev, &p->io);
    ev_timer_init(&p->timer, on_late, PROXIED_SECONDS, 0);
    ev_timer_start(loop->ev, &p->timer);
    ev_timer_init(&p->retry, on_retry, RETRY, 0);
    return p;
}
