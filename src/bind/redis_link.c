/* Addresses are tried one after the other. OpenSSL works on the descriptor
 * itself; what it wants (to read in order to write, or the other way round) is
 * what is watched. */
#include "bind/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void connect_next(struct link *l);

static char *copy(const struct plugin *plugin, const char *text)
{
    size_t n;

    if (text == NULL)
        return NULL;
    n = strlen(text) + 1;
    return memcpy(plugin->memory(NULL, n), text, n);
}

/* ---- ends */

static void close_socket(struct link *l)
{
    l->plugin->watch_free(l->watch);
    l->watch = NULL;
    if (l->ssl != NULL)
        SSL_free(l->ssl);
    l->ssl = NULL;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

void redis_link_end(struct link *l, const char *code, const char *reason)
{
    if (l->ended)
        return;
    l->ended = true;
    l->open = l->connecting = false;
    l->code = code;
    snprintf(l->reason, sizeof l->reason, "%s", reason);
    close_socket(l);
    l->events->on_end(l->arg);
}

static void end_errno(struct link *l, int error)
{
    const char *name = strerrorname_np(error);

    redis_link_end(l, name != NULL ? name : "EIO", strerror(error));
}

/* What OpenSSL has against the peer. */
static void end_tls(struct link *l)
{
    long verified = SSL_get_verify_result(l->ssl);
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    char reason[REDIS_LINK_REASON];

    if (verified != X509_V_OK) {
        snprintf(reason, sizeof reason, "the certificate is not trusted: %s",
                 X509_verify_cert_error_string(verified));
        redis_link_end(l, "ERR_TLS_CERT", reason);
    } else if (text != NULL) {
        snprintf(reason, sizeof reason, "TLS: %s", text);
        redis_link_end(l, "ERR_TLS", reason);
    } else {
        redis_link_end(l, "ECONNRESET", "the connection was closed");
    }
}

void redis_link_enter(struct link *l)
{
    l->inside++;
}

void redis_link_leave(struct link *l)
{
    if (--l->inside == 0 && l->doomed)
        l->events->on_free(l->arg);
}

/* ---- bytes */

static void watch(struct link *l)
{
    int events = l->paused ? 0 : PLUGIN_READ;

    if (l->connecting || l->wants_write)
        events |= PLUGIN_WRITE;
    if (l->watch != NULL)
        l->plugin->watch_set(l->watch, events);
}

/* Whether a call of OpenSSL that returned n has to be made again later; else l
 * has ended. */
static bool is_blocked(struct link *l, int n)
{
    switch (SSL_get_error(l->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_WANT_WRITE:
        l->wants_write = true;
        return true;
    case SSL_ERROR_ZERO_RETURN:
        redis_link_end(l, "ECONNRESET", "the connection was closed");
        return false;
    default:
        end_tls(l);
        return false;
    }
}

/* Returns the count of bytes sent or received; 0: not now; -1: l has ended. */
static long transfer(struct link *l, char *p, size_t n, bool sends)
{
    long done;

    if (l->ssl != NULL) {
        ERR_clear_error();
        done =
            sends ? SSL_write(l->ssl, p, (int)n) : SSL_read(l->ssl, p, (int)n);
        if (done > 0)
            return done;
        return is_blocked(l, (int)done) ? 0 : -1;
    }
    done = sends ? send(l->fd, p, n, MSG_NOSIGNAL) : recv(l->fd, p, n, 0);
    if (done > 0)
        return done;
    if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
        l->wants_write = l->wants_write || sends;
        return 0;
    }
    if (done == 0)
        redis_link_end(l, "ECONNRESET", "the connection was closed");
    else
        end_errno(l, errno);
    return -1;
}

void redis_link_flush(struct link *l)
{
    if (!l->open)
        return;
    l->wants_write = false;
    while (queue_size(&l->out) > 0) {
        size_t n = queue_size(&l->out);
        long sent = transfer(l, l->out.p + l->out.at,
                             n < 1024 * 1024 ? n : 1024 * 1024, true);

        if (sent < 0)
            return;
        if (sent == 0)
            break;
        queue_take(&l->out, (size_t)sent);
    }
    watch(l);
}

static void receive(struct link *l)
{
    static char bytes[REDIS_LINK_READ];

    while (l->open && !l->paused) {
        long n = transfer(l, bytes, sizeof bytes, false);

        if (n <= 0)
            break;
        l->events->on_bytes(l->arg, bytes, (size_t)n);
        if (l->ssl == NULL && (size_t)n < sizeof bytes)
            break;
    }
    if (l->open)
        watch(l);
}

/* ---- connecting */

static void shake_hands(struct link *l)
{
    int n;

    ERR_clear_error();
    l->wants_write = false;
    n = SSL_connect(l->ssl);
    if (n != 1) {
        if (is_blocked(l, n))
            watch(l);
        return;
    }
    l->connecting = false;
    l->open = true;
    l->events->on_open(l->arg);
    if (l->open)
        redis_link_flush(l);
}

static void begin_tls(struct link *l)
{
    unsigned char address[16];
    bool is_address =
        l->name != NULL && (inet_pton(AF_INET, l->name, address) == 1 ||
                            inet_pton(AF_INET6, l->name, address) == 1);

    l->ssl = SSL_new(l->tls);
    if (l->ssl == NULL) {
        redis_link_end(l, "ERR_TLS", "OpenSSL has no memory");
        return;
    }
    SSL_set_mode(l->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_fd(l->ssl, l->fd);
    if (is_address)
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->ssl), l->name);
    else if (l->name != NULL) {
        SSL_set_tlsext_host_name(l->ssl, l->name);
        SSL_set1_host(l->ssl, l->name);
    }
    shake_hands(l);
}

static void on_connected(struct link *l)
{
    socklen_t size = sizeof(int);
    int error = 0, one = 1;

    getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        errno = error;
        close_socket(l);
        if (l->next != NULL)
            connect_next(l);
        else
            end_errno(l, error);
        return;
    }
    if (l->service != NULL)
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    if (l->tls != NULL) {
        begin_tls(l);
        return;
    }
    l->connecting = false;
    l->open = true;
    l->events->on_open(l->arg);
    if (l->open)
        redis_link_flush(l);
}

static void on_event(void *arg, int events)
{
    struct link *l = arg;

    redis_link_enter(l);
    if (l->connecting && l->ssl == NULL)
        on_connected(l);
    else if (l->connecting)
        shake_hands(l);
    else {
        if (events & PLUGIN_WRITE)
            redis_link_flush(l);
        if (l->open)
            receive(l);
    }
    redis_link_leave(l);
}

static void start(struct link *l, int family, const struct sockaddr *address,
                  socklen_t size)
{
    l->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0 ||
        (connect(l->fd, address, size) < 0 && errno != EINPROGRESS)) {
        int error = errno;

        close_socket(l);
        if (l->next != NULL)
            connect_next(l);
        else
            end_errno(l, error);
        return;
    }
    l->watch = l->plugin->watch_new(l->fd, on_event, l);
    watch(l);
}

static void connect_next(struct link *l)
{
    struct addrinfo *a = l->next;

    l->next = a->ai_next;
    start(l, a->ai_family, a->ai_addr, a->ai_addrlen);
}

static void connect_path(struct link *l)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, "%s", l->host);
    start(l, AF_UNIX, (struct sockaddr *)&address, sizeof address);
}

/* ---- names */

struct lookup {
    struct link *link; /* NULL: nobody wants to know any more */
    const struct plugin *plugin;
    char *host, *service;
    struct addrinfo *found;
    int error;
};

static void look_up(void *arg)
{
    struct lookup *u = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    u->error = getaddrinfo(u->host, u->service, &hints, &u->found);
}

static void looked_up(void *arg, bool cancelled)
{
    struct lookup *u = arg;
    struct link *l = u->link;

    u->plugin->memory(u->host, 0);
    u->plugin->memory(u->service, 0);
    if (l != NULL) {
        l->lookup = NULL;
        redis_link_enter(l);
        l->addresses = l->next = u->found;
        if (cancelled)
            redis_link_end(l, "ECANCELED", "the process ends");
        else if (u->error != 0)
            redis_link_end(l, "ENOTFOUND", gai_strerror(u->error));
        else
            connect_next(l);
        redis_link_leave(l);
    } else if (u->found != NULL) {
        freeaddrinfo(u->found);
    }
    u->plugin->memory(u, 0);
}

void redis_link_open(struct link *l, const char *host, const char *service,
                     SSL_CTX *tls, const char *name)
{
    struct lookup *u;

    l->fd = -1;
    l->connecting = true;
    l->host = copy(l->plugin, host);
    l->service = copy(l->plugin, service);
    l->name = copy(l->plugin, name);
    l->tls = tls;
    if (tls != NULL)
        SSL_CTX_up_ref(tls);
    if (service == NULL) {
        connect_path(l);
        return;
    }
    u = l->plugin->memory(NULL, sizeof *u);
    memset(u, 0, sizeof *u);
    u->link = l;
    u->plugin = l->plugin;
    u->host = copy(l->plugin, host);
    u->service = copy(l->plugin, service);
    l->lookup = u;
    l->plugin->work(look_up, looked_up, u);
}

/* ---- */

void redis_link_pause(struct link *l, bool paused)
{
    if (l->paused == paused)
        return;
    l->paused = paused;
    watch(l);
}

void redis_link_keep(struct link *l, bool keeps)
{
    if (l->watch != NULL)
        l->plugin->watch_keep(l->watch, keeps);
}

void redis_link_clear(struct link *l)
{
    l->ended = true;
    l->open = l->connecting = false;
    if (l->lookup != NULL)
        l->lookup->link = NULL;
    close_socket(l);
    if (l->addresses != NULL)
        freeaddrinfo(l->addresses);
    SSL_CTX_free(l->tls);
    l->plugin->memory(l->host, 0);
    l->plugin->memory(l->service, 0);
    l->plugin->memory(l->name, 0);
    queue_clear(l->plugin, &l->out);
}
