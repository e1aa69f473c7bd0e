/* Lists are short (browsers send 10 to 20 fields), so looking through them by
 * number or by length and letters beats hashing. Order and repetition are kept
 * because rawHeaders, Set-Cookie and proxies depend on them. */
#include "http/headers.h"

#define KNOWN(literal, id)                                                     \
    {                                                                          \
        {"" literal, sizeof(literal) - 1}, id                                  \
    }

static const struct {
    struct str name;
    enum header_id id;
} known[] = {
    KNOWN("te", HEADER_TE),
    KNOWN("host", HEADER_HOST),
    KNOWN("date", HEADER_DATE),
    KNOWN("cookie", HEADER_COOKIE),
    KNOWN("expect", HEADER_EXPECT),
    KNOWN("server", HEADER_SERVER),
    KNOWN("referer", HEADER_REFERER),
    KNOWN("trailer", HEADER_TRAILER),
    KNOWN("upgrade", HEADER_UPGRADE),
    KNOWN("connection", HEADER_CONNECTION),
    KNOWN("keep-alive", HEADER_KEEP_ALIVE),
    KNOWN("set-cookie", HEADER_SET_COOKIE),
    KNOWN("user-agent", HEADER_USER_AGENT),
    KNOWN("content-type", HEADER_CONTENT_TYPE),
    KNOWN("content-length", HEADER_CONTENT_LENGTH),
    KNOWN("proxy-connection", HEADER_PROXY_CONNECTION),
    KNOWN("transfer-encoding", HEADER_TRANSFER_ENCODING),
};

/* known[] is ordered by length: where each length begins. */
static const unsigned char first_of_length[] = {
    0, 0, 0, 1, 1, 3, 3, 6, 9, 9, 9, 13, 13, 14, 14, 15, 15, 16, 17};

enum header_id headers_id(struct str name)
{
    unsigned i, end;

    if (name.n + 1 >= sizeof first_of_length)
        return HEADER_OTHER;
    end = first_of_length[name.n + 1];
    for (i = first_of_length[name.n]; i < end; i++)
        if ((known[i].name.p[0] ^ name.p[0]) % 32 == 0 &&
            str_ieq(known[i].name, name))
            return known[i].id;
    return HEADER_OTHER;
}

/* Bit 0: may stand in a token. Bit 1: may stand in a value. */
static const unsigned char byte_class[256] = {
    ['\t'] = 2,        [' '] = 2,          ['!'] = 3,
    ['"'] = 2,         ['#' ... '\''] = 3, ['(' ... ')'] = 2,
    ['*' ... '+'] = 3, [','] = 2,          ['-' ... '.'] = 3,
    ['/'] = 2,         ['0' ... '9'] = 3,  [':' ... '@'] = 2,
    ['A' ... 'Z'] = 3, ['[' ... ']'] = 2,  ['^' ... 'z'] = 3,
    ['{'] = 2,         ['|'] = 3,          ['}'] = 2,
    ['~'] = 3,         [0x80 ... 0xff] = 2};

static bool all_of(struct str s, unsigned char bit)
{
    size_t i;

    for (i = 0; i < s.n; i++)
        if (!(byte_class[(unsigned char)s.p[i]] & bit))
            return false;
    return true;
}

bool headers_name_valid(struct str name)
{
    return name.n > 0 && all_of(name, 1);
}

/* Whether none of the eight bytes at p is a control character. */
static bool is_printable(const char *p)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t bytes, delete;

    memcpy(&bytes, p, sizeof bytes);
    delete = bytes ^ ones * 0x7f;
    return !(((bytes - ones * ' ') & ~bytes & ones * 0x80) |
             ((delete - ones) & ~delete &ones * 0x80));
}

bool headers_value_valid(struct str value)
{
    while (value.n >= 8 && is_printable(value.p))
        value = str_skip(value, 8);
    return all_of(value, 2); /* the rest, or where a tab may be */
}

bool headers_trailer_allowed(enum header_id id)
{
    return id != HEADER_CONTENT_LENGTH && id != HEADER_TRANSFER_ENCODING &&
           id != HEADER_HOST && id != HEADER_TRAILER && id != HEADER_CONNECTION;
}

static void grow(struct headers *h, struct pool *pool, unsigned n)
{
    unsigned cap = h->cap ? h->cap * 2 : 8;
    struct header *items;

    if (cap < n)
        cap = n;
    items = pool_alloc(pool, cap * sizeof *items);

    if (h->n)
        memcpy(items, h->items, h->n * sizeof *items);
    h->items = items;
    h->cap = cap;
}

void headers_add(struct headers *h, struct pool *pool, struct str name,
                 struct str value)
{
    headers_add_as(h, pool, headers_id(name), name, value);
}

void headers_add_as(struct headers *h, struct pool *pool, enum header_id id,
                    struct str name, struct str value)
{
    if (h->n == h->cap)
        grow(h, pool, h->n + 1);
    h->items[h->n++] = (struct header){name, value, id};
    h->ids |= 1u << id;
}

struct header *headers_extend(struct headers *h, struct pool *pool, unsigned n,
                              uint32_t ids)
{
    if (h->n + n > h->cap)
        grow(h, pool, h->n + n);
    h->n += n;
    h->ids |= ids;
    return h->items + (h->n - n);
}

struct header *headers_find_added(const struct headers *h, enum header_id id,
                                  unsigned from)
{
    unsigned i;

    for (i = from; i < h->n; i++)
        if (h->items[i].id == id)
            return &h->items[i];
    return NULL;
}

struct header *headers_get(const struct headers *h, struct str name,
                           unsigned from)
{
    unsigned i;

    for (i = from; i < h->n; i++)
        if (str_ieq(h->items[i].name, name))
            return &h->items[i];
    return NULL;
}

unsigned headers_remove(struct headers *h, struct str name)
{
    unsigned i, kept = 0, gone;

    if (h->n == 0)
        return 0;
    for (i = 0; i < h->n; i++)
        if (!str_ieq(h->items[i].name, name))
            h->items[kept++] = h->items[i];
    gone = h->n - kept;
    h->n = kept;
    return gone;
}

void headers_vary(struct headers *h, struct pool *pool, struct str name)
{
    const struct header *field = headers_get(h, STR("Vary"), 0);

    for (; field != NULL;
         field = headers_get(h, STR("Vary"), (unsigned)(field - h->items) + 1))
        if (headers_has_token(field->value, name) ||
            headers_has_token(field->value, STR("*")))
            return;
    headers_add(h, pool, STR("Vary"), name);
}

unsigned headers_remove_id(struct headers *h, enum header_id id)
{
    struct header *field = headers_find(h, id, 0);

    return field != NULL ? headers_remove(h, field->name) : 0;
}

struct str headers_lower(struct pool *pool, struct str name)
{
    char *p = pool_alloc(pool, name.n);
    size_t i;

    for (i = 0; i < name.n; i++)
        p[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 32
                                                           : name.p[i]);
    return (struct str){p, name.n};
}

bool headers_has_token(struct str list, struct str token)
{
    while (list.n > 0)
        if (str_ieq(str_trim(str_cut(&list, ',')), token))
            return true;
    return false;
}
