/* OpenSSL writes into memory here, never to the socket: what it encrypts in one
 * call, up to four records, leaves with one send, and what the socket does not
 * take is kept as it is. So writing never has to be repeated by OpenSSL's rules
 * (the same bytes again), and "wants to read while writing" cannot happen. It
 * reads from the socket itself, as much as there is (read-ahead), into a buffer
 * that it frees when empty: an idle connection has none.
 *
 * The context is chosen when the client's hello is there and nothing was
 * decided by it (client_hello_cb): a session is looked for after that, and
 * belongs to the name and to the clients that the context trusts, so that a
 * session made for one host opens no other (CVE-2025-23419). */
#include "net/tls.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/tls_context.h"

/* What OpenSSL has written during the call at hand, and a record that is put
 * together of small pieces; the loop's thread has one call at a time. */
static struct bytes wire;
static char record[TLS_RECORD];

static BIO_METHOD *bio_method;

/* ---- the socket, as OpenSSL sees it */

static int bio_read(BIO *bio, char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t r = recv(t->c->io.fd, p, (size_t)n, 0);

    BIO_clear_retry_flags(bio);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_read(bio);
    t->eof = r == 0;
    if (r > 0 && !t->begun) {
        t->begun = true;
        t->first = p[0];
    }
    return (int)r;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    (void)bio;
    bytes_append(&wire, p, (size_t)n);
    return n;
}

static long bio_control(BIO *bio, int command, long number, void *arg)
{
    struct tls *t = BIO_get_data(bio);

    (void)number;
    (void)arg;
    if (command == BIO_CTRL_EOF)
        return t->eof;
    return command == BIO_CTRL_FLUSH;
}

static BIO *open_bio(struct tls *t)
{
    BIO *bio;

    if (bio_method == NULL) {
        bio_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(),
                                  "connection");
        BIO_meth_set_read(bio_method, bio_read);
        BIO_meth_set_write(bio_method, bio_write);
        BIO_meth_set_ctrl(bio_method, bio_control);
    }
    bio = BIO_new(bio_method);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}

static bool is_full(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Sends what is left of earlier calls. */
static enum io send_left(struct tls *t)
{
    ssize_t r;

    if (t->left.n == 0)
        return IO_OK;
    r = send(t->c->io.fd, t->left.p, t->left.n, MSG_NOSIGNAL);
    if (r < 0)
        return is_full() ? IO_AGAIN : IO_ERROR;
    t->c->stall_sent += (uint64_t)r;
    bytes_consume(&t->left, (size_t)r);
    if (t->left.n == 0)
        bytes_clear(&t->left);
    t->c->unsent = t->left.n > 0;
    return t->left.n > 0 ? IO_AGAIN : IO_OK;
}

/* Sends what OpenSSL has written during this call, or keeps it. */
static enum io send_wire(struct tls *t)
{
    size_t n = wire.n, sent = 0;

    wire.n = 0;
    if (n == 0)
        return IO_OK;
    if (t->left.n == 0) {
        ssize_t r = send(t->c->io.fd, wire.p, n, MSG_NOSIGNAL);

        if (r < 0 && !is_full())
            return IO_ERROR;
        sent = r > 0 ? (size_t)r : 0;
        t->c->stall_sent += sent;
    }
    if (sent < n)
        bytes_append(&t->left, wire.p + sent, n - sent);
    t->c->unsent = t->left.n > 0;
    return IO_OK;
}

/* ---- the client's hello */

/* Before each use of OpenSSL: nothing of another connection's may be left, not
 * its errors, and above all not what it would have sent. */
static void begin(void)
{
    ERR_clear_error();
    wire.n = 0;
}

static struct tls *tls_of(const struct conn *c)
{
    return c->transport_state;
}

/* Reads the name of the server_name extension (RFC 6066 3) in lower case to
 * name; false where there is none that a host can have. */
static bool read_name(SSL *ssl, char *name)
{
    const unsigned char *p;
    size_t i, n;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 ||
        n < 6 || p[2] != TLSEXT_NAMETYPE_host_name)
        return false;
    n -= 5;
    if (n != (size_t)(p[3] << 8 | p[4]) || n >= TLS_CONTEXT_NAME_MAX)
        return false;
    for (i = 0; i < n; i++) {
        unsigned char byte = p[5 + i];

        if (!isalnum(byte) && byte != '-' && byte != '_' && byte != '.')
            return false;
        name[i] = (char)tolower(byte);
    }
    if (n > 1 && name[n - 1] == '.')
        n--;
    name[n] = '\0';
    return true;
}

/* A session is good for the same name and the same trust alone. */
static void bind_sessions(struct tls *t, const SSL_CTX *ctx, int verify)
{
    unsigned char id[TLS_CONTEXT_DIGEST], mode = (unsigned char)verify;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    EVP_DigestUpdate(md, tls_context_digest(ctx), TLS_CONTEXT_DIGEST);
    EVP_DigestUpdate(md, &mode, 1);
    if (t->name != NULL)
        EVP_DigestUpdate(md, t->name, strlen(t->name));
    EVP_DigestFinal_ex(md, id, NULL);
    EVP_MD_CTX_free(md);
    SSL_set_session_id_context(t->ssl, id, sizeof id);
}

/* Chooses by our order. A client that offers only what we do not speak is told
 * so (RFC 7301 3.2), instead of being spoken to in a protocol it did not name.
 */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                   const unsigned char *in, unsigned size, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);

    (void)arg;
    if (t->server->alpn_size == 0)
        return SSL_TLSEXT_ERR_NOACK;
    if (size == 0 ||
        SSL_select_next_proto((unsigned char **)(uintptr_t)out, n,
                              t->server->alpn, t->server->alpn_size, in,
                              size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

/* Clients must satisfy both the server and the context. */
static void use_context(struct tls *t, SSL_CTX *ctx)
{
    const struct tls_server *s = t->server;
    int own = SSL_CTX_get_verify_mode(ctx), mode = own | s->verify;
    int (*any)(int, X509_STORE_CTX *) = SSL_CTX_get_verify_callback(ctx);
    bool strict = (own && !any) || (s->verify && !s->verify_any);

    if (!any)
        any = s->verify_any;
    if (ctx != SSL_get_SSL_CTX(t->ssl)) {
        SSL_set_SSL_CTX(t->ssl, ctx);
        SSL_set_min_proto_version(t->ssl, SSL_CTX_get_min_proto_version(ctx));
        SSL_set_max_proto_version(t->ssl, SSL_CTX_get_max_proto_version(ctx));
    }
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_set_verify(t->ssl, mode, strict ? NULL : any);
    bind_sessions(t, ctx, mode);
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    char name[TLS_CONTEXT_NAME_MAX];
    SSL_CTX *ctx;

    (void)arg;
    if (t->name == NULL && read_name(ssl, name))
        t->name = mem_strdup(name);
    if (t->server->on_name != NULL && t->name != NULL && t->naming <= TLS_ASKED)
        return SSL_CLIENT_HELLO_RETRY; /* handshake() asks */
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    if (t->naming == TLS_REFUSED)
        return SSL_CLIENT_HELLO_ERROR;
    ctx = t->chosen != NULL
              ? t->chosen
              : tls_server_find(t->server, t->name != NULL ? t->name : "");
    if (ctx == NULL)
        return SSL_CLIENT_HELLO_ERROR;
    use_context(t, ctx);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* ---- the handshake */

static void close_tls(struct conn *c)
{
    struct tls *t = c->transport_state;

    if (t == NULL)
        return;
    list_remove(&t->link);
    SSL_free(t->ssl);
    SSL_CTX_free(t->chosen);
    bytes_clear(&t->left);
    mem_free(t->name);
    mem_free(t);
    c->transport_state = NULL;
    c->unsent = c->buffered = false;
}

static void tell_failure(struct tls *t)
{
    unsigned long error = ERR_peek_error();
    const char *why = ERR_reason_error_string(error);

    if (isalpha((unsigned char)t->first))
        why = "http request";
    if (t->server->on_failure != NULL)
        t->server->on_failure(t->server, t->c, why ? why : "unknown error");
    ERR_clear_error();
}

/* The last word to a client whose handshake failed, in the clear: OpenSSL's
 * alert, or, where it does not even begin like TLS, an answer it can read. */
static enum io refuse(struct conn *c)
{
    struct tls *t = tls_of(c);

    tell_failure(t);
    if (c->dead)
        return IO_AGAIN;
    if (t->begun && isalpha((unsigned char)t->first) &&
        t->server->plain.n > 0) {
        wire.n = 0;
        buf_append(conn_out(c), t->server->plain.p, t->server->plain.n);
    } else {
        send_wire(t);
        buf_append(conn_out(c), t->left.p, t->left.n);
    }
    close_tls(c);
    c->transport = &plain_transport;
    return IO_EOF;
}

/* Asks for the context of the name. Returns whether the answer is there. */
static bool ask(struct conn *c)
{
    struct tls *t = tls_of(c);
    struct tls_server *s = t->server;

    if (t->naming == TLS_UNASKED) {
        t->naming = TLS_ASKED;
        t->id = ++s->last_id;
        list_push(&s->asked, &t->link);
        s->on_name(s, t->id);
        if (c->dead)
            return false;
    }
    if (t->naming == TLS_ASKED)
        conn_pause(c);
    return t->naming > TLS_ASKED;
}

static enum io handshake(struct conn *c)
{
    struct tls *t = tls_of(c);
    int r;

    do {
        begin();
        r = SSL_do_handshake(t->ssl);
        if (r == 1) {
            c->buffered = SSL_has_pending(t->ssl);
            return send_wire(t);
        }
        switch (SSL_get_error(t->ssl, r)) {
        case SSL_ERROR_WANT_CLIENT_HELLO_CB:
            break;
        case SSL_ERROR_WANT_READ:
            return send_wire(t) == IO_OK ? IO_AGAIN : IO_ERROR;
        case SSL_ERROR_SSL:
            return refuse(c);
        default:
            return IO_ERROR;
        }
    } while (ask(c));
    return IO_AGAIN;
}

/* ---- reading and writing */

/* How reading has ended, r being what SSL_read_ex returned. */
static enum io read_status(struct tls *t, int r)
{
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    default:
        t->broken = true;
        return IO_ERROR;
    }
}

static enum io read_some(struct conn *c, char *p, size_t n, size_t *got)
{
    struct tls *t = tls_of(c);
    enum io io = IO_OK;
    size_t r;

    *got = 0;
    c->buffered = false;
    begin();
    while (io == IO_OK && *got < n) {
        int result = SSL_read_ex(t->ssl, p + *got, n - *got, &r);

        if (result <= 0)
            io = read_status(t, result);
        else
            *got += r;
        if (!SSL_has_pending(t->ssl))
            break;
    }
    if (send_wire(t) != IO_OK)
        return IO_ERROR;
    if (*got == 0)
        return io;
    /* An end that was read together with data is told by the next call. */
    c->buffered = io == IO_OK ? SSL_has_pending(t->ssl) : io != IO_AGAIN;
    return IO_OK;
}

/* The content of the next record: up to TLS_RECORD bytes from the pieces behind
 * *at, as one piece, copied only where it lies in several. Drops them there. */
static struct str next_record(struct iovec **at, const struct iovec *end)
{
    struct str out = {(*at)->iov_base, (*at)->iov_len};
    size_t n = 0;

    if (out.n >= TLS_RECORD || *at + 1 == end) {
        out.n = out.n < TLS_RECORD ? out.n : TLS_RECORD;
        (*at)->iov_base = (char *)(*at)->iov_base + out.n;
        (*at)->iov_len -= out.n;
        if ((*at)->iov_len == 0)
            ++*at;
        return out;
    }
    while (*at < end && n < TLS_RECORD) {
        size_t take = (*at)->iov_len;

        take = take < TLS_RECORD - n ? take : TLS_RECORD - n;
        memcpy(record + n, (*at)->iov_base, take);
        n += take;
        (*at)->iov_base = (char *)(*at)->iov_base + take;
        (*at)->iov_len -= take;
        if ((*at)->iov_len == 0)
            ++*at;
    }
    return (struct str){record, n};
}

static enum io write_some(struct conn *c, const struct iovec *iov, int count,
                          size_t *sent)
{
    struct tls *t = tls_of(c);
    struct iovec pieces[CONN_IOV], *at = pieces;
    const struct iovec *end = pieces + count;
    enum io io = send_left(t);
    size_t done;

    if (io != IO_OK || count == 0)
        return io;
    memcpy(pieces, iov, (size_t)count * sizeof *iov);
    begin();
    while (at < end && wire.n < TLS_BATCH) {
        struct str part = next_record(&at, end);

        if (SSL_write_ex(t->ssl, part.p, part.n, &done) != 1) {
            t->broken = true;
            wire.n = 0;
            return IO_ERROR;
        }
        *sent += part.n;
    }
    c->stall_sent -= *sent; /* conn adds it; what counts is what was sent */
    return send_wire(t);
}

/* close_notify (RFC 8446 6.1): without it the peer cannot tell the end of the
 * stream from a cut. */
static void farewell(struct conn *c)
{
    struct tls *t = tls_of(c);

    if (t->broken)
        return;
    begin();
    SSL_shutdown(t->ssl);
    send_wire(t);
    c->unsent = false; /* nobody waits for it */
}

static void shut(struct conn *c)
{
    shutdown(c->io.fd, SHUT_WR);
}

const struct transport tls_transport = {
    .handshake = handshake,
    .read = read_some,
    .write = write_some,
    .farewell = farewell,
    .shutdown = shut,
    .close = close_tls,
    .encrypted = true,
};

/* ---- for others */

void tls_attach(struct conn *c, struct tls_server *server)
{
    struct tls *t = mem_zalloc(sizeof *t);
    SSL_CTX *ctx = server->standard ? server->standard : server->bare;
    BIO *bio = open_bio(t);

    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    t->ssl = SSL_new(ctx);
    t->c = c;
    t->server = server;
    list_init(&t->link);
    SSL_set_app_data(t->ssl, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_accept_state(t->ssl);
    c->transport_state = t;
}

SSL *tls_session(const struct conn *c)
{
    return c->transport == &tls_transport && c->transport_state != NULL
               ? tls_of(c)->ssl
               : NULL;
}

struct str tls_protocol(const struct conn *c)
{
    const unsigned char *p = NULL;
    unsigned n = 0;

    if (tls_session(c) != NULL)
        SSL_get0_alpn_selected(tls_session(c), &p, &n);
    return (struct str){(const char *)p, n};
}

const char *tls_host(const struct conn *c)
{
    return tls_session(c) != NULL ? tls_of(c)->name : NULL;
}
