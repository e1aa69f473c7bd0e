/* A coder is made only when a response is really coded; all else lies in the
 * exchange's pool. The output of each piece is handed on as a block of its own,
 * which the connection's queue releases. Left out: coding of parts (206), since
 * ranges count uncoded bytes, and of event streams unless asked for, since each
 * stream would hold a coder's memory for hours. */
#include "http/compress.h"

#include <string.h>

#include "base/mem.h"
#include "http/accept.h"

struct compress {
    struct compress_options options;
    struct coder *coder; /* NULL: not coded */
    bool decided;
};

void compress_offer(struct exchange *x, const struct compress_options *options)
{
    struct compress *c;
    unsigned i;

    if (x->head_sent || (x->compress != NULL && x->compress->decided))
        return;
    c = pool_alloc(&x->pool, sizeof *c);
    *c = (struct compress){.options = *options};
    if (options->ntypes > 0) {
        c->options.types =
            pool_alloc(&x->pool, options->ntypes * sizeof *options->types);
        for (i = 0; i < options->ntypes; i++)
            c->options.types[i] = pool_copy(&x->pool, options->types[i]);
    }
    x->compress = c;
}

void compress_drop(struct exchange *x)
{
    if (x->compress == NULL)
        return;
    coder_free(x->compress->coder);
    x->compress = NULL;
}

bool compress_codes(const struct exchange *x)
{
    return x->compress != NULL && x->compress->coder != NULL;
}

/* ---- which responses */

static bool ends_with(struct str s, struct str end)
{
    return s.n >= end.n && str_ieq((struct str){s.p + s.n - end.n, end.n}, end);
}

bool compress_type(struct str type)
{
    static const char *const types[] = {"application/javascript",
                                        "application/json",
                                        "application/manifest+json",
                                        "application/wasm",
                                        "application/x-ndjson",
                                        "application/xml",
                                        "application/rtf",
                                        "font/otf",
                                        "font/ttf",
                                        "image/bmp",
                                        "image/svg+xml",
                                        "image/x-icon"};
    size_t i;

    if (str_ieq(type, STR("text/event-stream")))
        return false;
    if (type.n > 5 && str_ieq((struct str){type.p, 5}, STR("text/")))
        return true;
    if (ends_with(type, STR("+json")) || ends_with(type, STR("+xml")))
        return true;
    for (i = 0; i < sizeof types / sizeof types[0]; i++)
        if (str_ieq(type, str_of(types[i])))
            return true;
    return false;
}

/* The media type of a field without its parameters (RFC 9110 8.3.1). */
static struct str bare_type(struct str value)
{
    const char *end = value.n ? memchr(value.p, ';', value.n) : NULL;

    if (end != NULL)
        value.n = (size_t)(end - value.p);
    while (value.n > 0 &&
           (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    return value;
}

static bool type_fits(const struct exchange *x)
{
    const struct compress_options *o = &x->compress->options;
    const struct header *h = headers_find(&x->response, HEADER_CONTENT_TYPE, 0);
    struct str type;
    unsigned i;

    if (h == NULL)
        return false;
    type = bare_type(h->value);
    for (i = 0; i < o->ntypes; i++)
        if (str_ieq(type, o->types[i]))
            return true;
    return compress_type(type);
}

/* Whether what the handler has set leaves the body to us. */
static bool may_code(const struct exchange *x)
{
    const struct header *control =
        headers_get(&x->response, STR("Cache-Control"), 0);

    return x->status != 206 &&
           headers_get(&x->response, STR("Content-Encoding"), 0) == NULL &&
           headers_get(&x->response, STR("Content-Range"), 0) == NULL &&
           (control == NULL || /* RFC 9111 5.2.2.6 */
            !headers_has_token(control->value, STR("no-transform")));
}

/* The coding that the client wants most; among equals the first one. */
static enum coding choose(const struct exchange *x)
{
    const struct compress_options *o = &x->compress->options;
    struct str name = STR("Accept-Encoding");
    enum coding best = CODING_NONE;
    int most = 0, weight, i;

    for (i = 0; i < CODINGS && o->order[i] != CODING_NONE; i++) {
        weight = accept_weight(&x->request, name, coder_name(o->order[i]));
        if (weight > most) {
            most = weight;
            best = o->order[i];
        }
    }
    if (accept_weight(&x->request, name, STR("identity")) > most)
        return CODING_NONE;
    return best;
}

/* ---- the head */

/* The coded bytes are others than those that a strong tag stands for (RFC 9110
 * 8.8.3.3). */
static void weaken_etag(struct exchange *x)
{
    struct header *h = headers_get(&x->response, STR("ETag"), 0);
    char *weak;

    if (h == NULL || h->value.n == 0 || h->value.p[0] != '"')
        return;
    weak = pool_alloc(&x->pool, h->value.n + 2);
    memcpy(weak, "W/", 2);
    memcpy(weak + 2, h->value.p, h->value.n);
    h->value = (struct str){weak, h->value.n + 2};
}

/* The body's size as the handler has set it, else length. */
static int64_t size_of(const struct exchange *x, int64_t length)
{
    const struct header *h =
        headers_find(&x->response, HEADER_CONTENT_LENGTH, 0);
    int64_t n = 0;
    size_t i;

    if (h == NULL)
        return length;
    for (i = 0; i < h->value.n && i < 18; i++)
        n = n * 10 + (h->value.p[i] - '0');
    return n;
}

void compress_decide(struct exchange *x, int64_t length)
{
    struct compress *c = x->compress;
    enum coding coding;
    int64_t size;

    if (c->decided)
        return;
    c->decided = true;
    if (!may_code(x) || (!type_fits(x) && x->status != 304))
        return;
    headers_vary(&x->response, &x->pool, STR("Accept-Encoding"));
    coding = choose(x);
    size = size_of(x, length);
    if (coding == CODING_NONE || x->status == 204 || x->status == 205 ||
        (size >= 0 && size < c->options.threshold))
        return;
    weaken_etag(x);
    if (x->status == 304)
        return;
    headers_remove(&x->response, STR("Content-Length"));
    headers_remove(&x->response, STR("Accept-Ranges"));
    headers_add(&x->response, &x->pool, STR("Content-Encoding"),
                coder_name(coding));
    c->coder = coder_new(coding, c->options.level, x->bodyless ? -1 : length);
}

/* ---- the body */

void compress_piece(struct exchange *x, struct piece *piece,
                    enum coder_until until)
{
    struct bytes out;

    bytes_init(&out);
    coder_run(x->compress->coder, piece->p, piece->n, until, &out);
    if (piece->release != NULL)
        piece->release(piece->arg);
    *piece = (struct piece){
        .p = out.p, .n = out.n, .release = mem_free, .arg = out.p};
}
