/* A memo is used for nothing but the same bytes, so that it cannot mean
 * anything else: method, version and field lines are compared, and the target
 * is one whose form and bytes need no look at the rest. A process-wide store of
 * a few, with a number kept by each connection, serves clients that differ
 * without memory for those that are idle: a memo that was replaced meanwhile
 * does not match, which costs what the comparison did. Left out is what the
 * meaning of a head depends on beyond its bytes: Expect, and CONNECT. */
#include "http/head_memo.h"

static const char version[] = " HTTP/1.1\r\n";

enum { VERSION_SIZE = sizeof version - 1, METHOD_MAX = 15 };

/* A field, by its places in the lines. */
struct field {
    uint16_t name, name_size, value, value_size;
    enum header_id id;
};

struct memo {
    size_t method_size, size; /* of method, with a space, and of lines */
    struct head head;
    int64_t length;
    uint32_t ids;
    unsigned count;
    struct field fields[HEAD_MEMO_FIELDS];
    char method[METHOD_MAX + 1];
    char lines[HEAD_MEMO_SIZE]; /* with the empty one */
};

static struct memo memos[HEAD_MEMO_COUNT];
static unsigned newest;

unsigned head_memo_newest(void)
{
    return newest;
}

/* The count of leading bytes of s that are those of a path and a query. */
static size_t target_span(const char *p, const char *end)
{
    const char *at = p;

    if (at == end || *at != '/')
        return 0;
    while (at<end && * at> ' ' && *at < 0x7f && *at != '#')
        at++;
    return (size_t)(at - p);
}

size_t head_memo_match(unsigned i, const char *p, size_t n,
                       const struct limits *limits)
{
    const struct memo *memo = &memos[i];
    size_t fixed = memo->method_size + VERSION_SIZE + memo->size, line, target;

    if (memo->size == 0 || n <= fixed ||
        memcmp(p, memo->method, memo->method_size) != 0)
        return 0;
    p += memo->method_size;
    target = target_span(p, p + (n - fixed));
    p += target;
    line = memo->method_size + target + VERSION_SIZE;
    if (target == 0 || line > limits->max_request_line ||
        line + memo->size > limits->max_header_size ||
        (limits->max_headers > 0 && memo->count > limits->max_headers))
        return 0;
    if (memcmp(p, version, VERSION_SIZE) != 0 ||
        memcmp(p + VERSION_SIZE, memo->lines, memo->size) != 0)
        return 0;
    return line + memo->size;
}

void head_memo_recall(unsigned i, struct exchange *x, struct head *out,
                      struct str text)
{
    const struct memo *memo = &memos[i];
    const char *lines = text.p + text.n - memo->size;
    struct header *items =
        headers_extend(&x->request, &x->pool, memo->count, memo->ids);
    unsigned k;

    x->version = 11;
    x->method = (struct str){text.p, memo->method_size - 1};
    x->target =
        (struct str){text.p + memo->method_size,
                     text.n - memo->size - VERSION_SIZE - memo->method_size};
    for (k = 0; k < memo->count; k++) {
        const struct field *field = &memo->fields[k];

        items[k] = (struct header){{lines + field->name, field->name_size},
                                   {lines + field->value, field->value_size},
                                   field->id};
    }
    x->length = memo->length;
    *out = memo->head;
}

/* Whether another head of these lines will mean the same. */
static bool is_lasting(const struct exchange *x, struct str lines)
{
    return x->version == 11 && lines.n <= HEAD_MEMO_SIZE &&
           x->request.n <= HEAD_MEMO_FIELDS && x->method.n < METHOD_MAX &&
           x->method.p[0] != 'C' &&
           headers_find(&x->request, HEADER_EXPECT, 0) == NULL &&
           target_span(x->target.p, lines.p) == x->target.n;
}

unsigned head_memo_keep(const struct exchange *x, const struct head *out,
                        struct str text)
{
    const char *at = x->target.p + x->target.n + VERSION_SIZE;
    struct str lines = {at, (size_t)(text.p + text.n - at)};
    struct memo *memo;
    unsigned k;

    if (!is_lasting(x, lines))
        return newest;
    newest = (newest + 1) % HEAD_MEMO_COUNT;
    memo = &memos[newest];
    memo->head = *out;
    memo->length = x->length;
    memo->ids = x->request.ids;
    memo->count = x->request.n;
    for (k = 0; k < memo->count; k++) {
        const struct header *h = &x->request.items[k];

        memo->fields[k] = (struct field){
            (uint16_t)(h->name.p - lines.p), (uint16_t)h->name.n,
            (uint16_t)(h->value.p - lines.p), (uint16_t)h->value.n, h->id};
    }
    memo->method_size = x->method.n + 1;
    memcpy(memo->method, x->method.p, memo->method_size);
    memo->size = lines.n;
    memcpy(memo->lines, lines.p, lines.n);
    return newest;
}
