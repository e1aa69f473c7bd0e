/* What is the same for every version: which responses have a body, how long it
 * is said to be, and that nobody sends more than that. Exchanges are kept for
 * reuse, since a server at work makes one per request. */
#include "http/exchange.h"

#include "base/mem.h"
#include "http/compress.h"
#include "http/sending.h"
#include "http/server.h"
#include "http/status.h"

enum { KEPT_MAX = 128 };

static struct exchange *kept[KEPT_MAX];
static unsigned kept_count, alive;

struct exchange *exchange_new(struct server *server)
{
    struct exchange *x = kept_count ? kept[--kept_count] : mem_alloc(sizeof *x);

    memset(x, 0, sizeof *x);
    list_init(&x->link);
    pool_init(&x->pool);
    x->server = server;
    x->encrypted = server != NULL && server->tls != NULL;
    x->status = 200;
    x->declared = -1;
    alive++;
    return x;
}

void exchange_free(struct exchange *x)
{
    alive--;
    list_remove(&x->link);
    compress_drop(x);
    sending_drop(x);
    pool_clear(&x->pool);
    if (kept_count < KEPT_MAX)
        kept[kept_count++] = x;
    else
        mem_free(x);
}

unsigned exchange_count(void)
{
    return alive;
}

/* The digits of a Content-Length, or -1. */
static int64_t length_of(struct str digits)
{
    int64_t n = 0;
    size_t i;

    if (digits.n == 0 || digits.n > 18)
        return -1;
    for (i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return -1;
        n = n * 10 + (digits.p[i] - '0');
    }
    return n;
}

/* What the response's fields say of its length, or -1. A length that is none,
 * or a second one, would be a way to split the response: it is dropped. */
static int64_t declared_length(struct exchange *x)
{
    struct header *set = headers_find(&x->response, HEADER_CONTENT_LENGTH, 0);
    unsigned behind;
    int64_t length;

    if (set == NULL)
        return -1;
    length = length_of(set->value);
    behind = (unsigned)(set - x->response.items) + 1;
    if (length >= 0 &&
        headers_find(&x->response, HEADER_CONTENT_LENGTH, behind) == NULL)
        return length;
    headers_remove_id(&x->response, HEADER_CONTENT_LENGTH);
    return -1;
}

/* Marks a response that has no body because of its status. HEAD was marked when
 * the request came. */
static void settle_status(struct exchange *x)
{
    /* RFC 9110 15.3.5, 15.3.6, 15.4.5 */
    if (x->status == 204 || x->status == 304 || x->status == 205)
        x->bodyless = true;
}

/* Sends the head of a response whose body will have length bytes (-1: not
 * known), first of them at once. Where that is more than was announced, nothing
 * is sent, so that it can still become an error. */
static enum sent send_head(struct exchange *x, int64_t length, size_t first)
{
    settle_status(x);
    if (x->status == 204 || x->status == 304) {
        length = -1;
    } else if (x->status == 205) { /* 15.3.6: nothing, and says so */
        length = 0;
        headers_remove_id(&x->response, HEADER_CONTENT_LENGTH);
    }
    x->declared = declared_length(x);
    if (x->declared < 0)
        x->declared = length;
    else if (!x->bodyless && first > (uint64_t)x->declared)
        return SENT_EXCESS;
    x->head_sent = true;
    x->codec->send_head(x, length);
    return SENT_OK;
}

/* Has the piece coded where the response is to be: decides that before its
 * head leaves. length is what the body has, -1 where it is not known; returns
 * what the head is to say of it. */
static int64_t code(struct exchange *x, struct piece *piece, int64_t length,
                    enum coder_until until)
{
    if (x->compress == NULL || x->codec == NULL || x->ended_out)
        return length;
    if (!x->head_sent) {
        settle_status(x);
        compress_decide(x, length);
    }
    if (!compress_codes(x))
        return length;
    if (x->bodyless || piece == NULL) /* the head alone */
        return -1;
    compress_piece(x, piece, until);
    return until == CODER_END ? (int64_t)piece->n : -1;
}

enum sent exchange_send_head(struct exchange *x, int64_t length)
{
    if (x->codec == NULL)
        return SENT_CLOSED;
    if (x->head_sent)
        return SENT_OK;
    return send_head(x, code(x, NULL, length, CODER_MORE), 0);
}

/* Sends a piece of body, behind the head of one that has length bytes. */
static enum sent send_piece(struct exchange *x, struct piece *piece,
                            int64_t length)
{
    enum sent sent;

    if (!x->head_sent && (sent = send_head(x, length, piece->n)) != SENT_OK)
        return sent;
    if (x->bodyless || piece->n == 0)
        return SENT_OK;
    if (x->declared >= 0 && x->sent + piece->n > (uint64_t)x->declared)
        return SENT_EXCESS;
    x->sent += piece->n;
    x->codec->send_body(x, piece);
    piece->release = NULL;
    return x->codec->queued(x) > EXCHANGE_HIGH_WATER ? SENT_FULL : SENT_OK;
}

static enum sent write_piece(struct exchange *x, struct piece *piece,
                             int64_t length)
{
    enum sent sent = x->ended_out       ? SENT_ENDED
                     : x->codec == NULL ? SENT_CLOSED
                                        : send_piece(x, piece, length);

    if (piece->release != NULL) /* not taken by the codec */
        piece->release(piece->arg);
    return sent;
}

enum sent exchange_write(struct exchange *x, struct piece piece)
{
    int64_t length = code(x, &piece, -1, CODER_FLUSH);

    return write_piece(x, &piece, length);
}

bool exchange_takes_files(const struct exchange *x)
{
    return x->codec != NULL && x->codec->takes_files != NULL &&
           !compress_codes(x) && x->codec->takes_files(x);
}

enum sent exchange_write_file(struct exchange *x, int fd, int64_t offset,
                              size_t n, void (*release)(void *arg), void *arg)
{
    enum sent sent = x->ended_out       ? SENT_ENDED
                     : x->codec == NULL ? SENT_CLOSED
                                        : SENT_OK;

    if (sent == SENT_OK && !x->bodyless && x->declared >= 0 &&
        x->sent + n > (uint64_t)x->declared)
        sent = SENT_EXCESS;
    if (sent != SENT_OK || x->bodyless || n == 0) {
        release(arg);
        return sent;
    }
    x->sent += n;
    x->codec->send_file(x, fd, offset, n, release, arg);
    return x->codec->queued(x) > EXCHANGE_HIGH_WATER ? SENT_FULL : SENT_OK;
}

enum sent exchange_end(struct exchange *x, struct piece piece)
{
    int64_t length = x->bodyless && piece.n == 0 ? -1 : (int64_t)piece.n;
    enum sent sent;

    length = code(x, &piece, length, CODER_END);
    sent = write_piece(x, &piece, length);

    if (sent != SENT_OK && sent != SENT_FULL)
        return sent;
    x->ended_out = true;
    if (!x->bodyless && x->declared >= 0 && x->sent < (uint64_t)x->declared) {
        x->codec->reset(x, CLOSED_RESET);
        return SENT_OK;
    }
    x->codec->send_end(x);
    return SENT_OK;
}

void exchange_continue(struct exchange *x)
{
    if (!x->expects || x->codec == NULL)
        return;
    x->expects = false;
    if (!x->head_sent)
        x->codec->send_interim(x, 100, NULL);
}

void exchange_read(struct exchange *x)
{
    if (x->codec == NULL || x->ended_in)
        return;
    if (!x->by_hand)
        exchange_continue(x);
    x->reading = true;
    x->codec->resume(x);
}

struct str exchange_upgrade(struct exchange *x)
{
    if (x->codec == NULL || x->codec->upgrade == NULL || x->head_sent)
        return (struct str){NULL, 0};
    x->status = 101; /* for the log; what is sent is the handler's to say */
    x->head_sent = x->raw = true;
    x->bodyless = x->ended_in = x->unseen = x->expects = false;
    x->declared = x->length = -1;
    return x->codec->upgrade(x);
}

void exchange_reset(struct exchange *x, enum closed why)
{
    if (x->codec != NULL && !x->ended_out)
        x->codec->reset(x, why);
}

void exchange_fail(struct exchange *x, int status, struct str text)
{
    struct str reason = text.n ? text : status_reason(status);
    struct piece body = {.p = reason.p, .n = reason.n};
    unsigned i;

    if (x->codec == NULL || x->ended_out)
        return;
    if (x->head_sent) {
        x->codec->reset(x, CLOSED_RESET);
        return;
    }
    x->status = status;
    x->reason = (struct str){NULL, 0};
    x->response.n = x->trailers_out.n = 0;
    compress_drop(x);
    headers_add(&x->response, &x->pool, STR("Content-Type"),
                STR("text/plain; charset=utf-8"));
    for (i = 0; i < x->refusal.n; i++)
        headers_add(&x->response, &x->pool, x->refusal.items[i].name,
                    x->refusal.items[i].value);
    if (status == 405) /* RFC 9110 15.5.6 */
        headers_add(&x->response, &x->pool, STR("Allow"),
                    STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    exchange_end(x, body);
}
