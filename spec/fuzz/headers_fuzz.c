/* Heads, header lists and chunks (http/head.h, http/headers.h,
 * http/chunked.h): the result does not depend on how the bytes are split, an
 * accepted head says to us what it says line by line, and chunks decode to what
 * a plain reading of RFC 9112 7.1 finds in them. */
#include "fuzz.h"

#include "base/bytes.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/headers.h"
#include "http/target.h"

static struct str text_of(const struct bytes *b)
{
    return (struct str){b->n ? b->p : "", b->n};
}

/* ---- head_find */

static long find_whole(struct str text, const struct limits *limits)
{
    struct head_scan scan = {0, 0};

    return head_find(&scan, text.p, text.n, limits);
}

/* As bytes come in, each time step of them, at a new place in memory. */
static long find_split(struct str text, size_t step,
                       const struct limits *limits)
{
    struct head_scan scan = {0, 0};
    size_t n = 0;
    long found = 0;

    while (found == 0 && n < text.n) {
        char *copy;

        n = text.n - n < step ? text.n : n + step;
        copy = fuzz_copy((struct str){text.p, n});
        found = head_find(&scan, copy, n, limits);
        mem_free(copy);
    }
    return found;
}

/* ---- head_parse */

/* The field lines of an accepted head. */
struct lines {
    unsigned count, hosts, lengths, codings;
    struct str length, coding;
    bool close, keep_alive; /* options of Connection */
};

static void read_line(struct lines *l, struct str line, struct header *field)
{
    struct str name = str_cut(&line, ':'), value = str_trim(line);

    FUZZ_CHECK(line.p != NULL && headers_name_valid(name));
    FUZZ_CHECK(headers_value_valid(value));
    FUZZ_CHECK(str_eq(field->name, name) && field->id == headers_id(name));
    FUZZ_CHECK(str_eq(field->value, value) || field->id == HEADER_HOST);
    l->count++;
    if (str_ieq(name, STR("host")))
        l->hosts++;
    if (str_ieq(name, STR("content-length"))) {
        l->lengths++;
        l->length = value;
    }
    if (str_ieq(name, STR("transfer-encoding"))) {
        l->codings++;
        l->coding = value;
    }
    if (str_ieq(name, STR("connection"))) {
        l->close |= headers_has_token(value, STR("close"));
        l->keep_alive |= headers_has_token(value, STR("keep-alive"));
    }
}

static void read_lines(struct lines *l, const struct exchange *x,
                       struct str text)
{
    *l = (struct lines){.count = 0};
    str_cut(&text, '\n');
    for (;;) {
        struct str line = str_cut(&text, '\n');

        FUZZ_CHECK(line.n > 0 && line.p[line.n - 1] == '\r');
        line.n--;
        if (line.n == 0)
            break;
        FUZZ_CHECK(l->count < x->request.n);
        read_line(l, line, &x->request.items[l->count]);
    }
    FUZZ_CHECK(text.n == 0 && l->count == x->request.n);
}

/* The body is where the lines say (RFC 9112 6), and nobody could think that it
 * is elsewhere. */
static void check_framing(const struct exchange *x, const struct head *head,
                          const struct lines *l)
{
    size_t i;

    FUZZ_CHECK(l->lengths + l->codings <= 1);
    FUZZ_CHECK(head->chunked == (l->codings == 1));
    FUZZ_CHECK(!head->chunked || str_ieq(l->coding, STR("chunked")));
    FUZZ_CHECK(!head->chunked || x->version == 11);
    FUZZ_CHECK(x->length == (head->chunked ? -1 : 0) || l->lengths == 1);
    if (l->lengths == 1) {
        uint64_t n = 0;

        for (i = 0; i < l->length.n; i++) {
            FUZZ_CHECK(l->length.p[i] >= '0' && l->length.p[i] <= '9');
            n = n * 10 + (uint64_t)(l->length.p[i] - '0');
        }
        FUZZ_CHECK(i > 0 && x->length >= 0 && (uint64_t)x->length == n);
    }
}

static void check_accepted(const struct exchange *x, const struct head *head,
                           struct str text, const struct limits *limits)
{
    struct lines l;
    struct str line = str_cut(&text, '\n'), whole = text;

    text = (struct str){line.p, line.n + 1 + whole.n};
    read_lines(&l, x, text);
    check_framing(x, head, &l);
    FUZZ_CHECK(x->version == 10 || x->version == 11);
    FUZZ_CHECK(l.hosts == 1 || (l.hosts == 0 && x->version == 10));
    FUZZ_CHECK(l.count <= limits->max_headers || limits->max_headers == 0);
    FUZZ_CHECK(headers_name_valid(x->method) && x->target.n > 0);
    FUZZ_CHECK(x->method.n + 1 + x->target.n + 1 + 8 + 1 == line.n);
    for (size_t i = 0; i < x->target.n; i++)
        FUZZ_CHECK(x->target.p[i] > ' ' && x->target.p[i] < 0x7f);
    if (l.close) /* RFC 9112 9.6 */
        FUZZ_CHECK(!head->keep_alive);
    else
        FUZZ_CHECK(head->keep_alive == (x->version == 11 || l.keep_alive));
    FUZZ_CHECK(!x->expects || (x->version == 11 && x->length != 0));
}

static void check_head(struct str text, const struct limits *limits)
{
    struct exchange *x = exchange_new(NULL);
    struct head head;
    struct str copy = pool_copy(&x->pool, text), before;
    int status;

    before = pool_copy(&x->pool, text);
    status = head_parse(x, &head, (char *)(size_t)copy.p, copy.n, limits);
    if (status == 0)
        check_accepted(x, &head, before, limits);
    else
        FUZZ_CHECK(status == 400 || status == 431 || status == 501 ||
                   status == 505);
    exchange_free(x);
}

static void check_heads(struct str text, const struct limits *limits)
{
    long found = find_whole(text, limits);

    for (size_t step = 1; step < 8; step = step * 2 + 1)
        FUZZ_CHECK(find_split(text, step, limits) == found);
    FUZZ_CHECK(found <= 0 || (uint64_t)found <= limits->max_header_size);
    if (found > 0)
        check_head((struct str){text.p, (size_t)found}, limits);
}

/* ---- header lists */

/* What headers_remove leaves: everything else, in order. */
static void check_remove(struct headers *h, struct pool *pool, struct str name)
{
    struct headers copy = {.items = NULL};
    unsigned i, kept = 0, gone;

    for (i = 0; i < h->n; i++)
        headers_add(&copy, pool, h->items[i].name, h->items[i].value);
    gone = headers_remove(&copy, name);
    FUZZ_CHECK(gone + copy.n == h->n && gone > 0);
    FUZZ_CHECK(headers_get(&copy, name, 0) == NULL);
    for (i = 0; i < h->n; i++)
        if (!str_ieq(h->items[i].name, name))
            FUZZ_CHECK(h->items[i].value.p == copy.items[kept++].value.p);
    FUZZ_CHECK(kept == copy.n);
}

static void check_name(struct headers *h, struct pool *pool, struct str name,
                       unsigned at)
{
    struct str lower = headers_lower(pool, name);
    enum header_id id = headers_id(name);
    struct header *first = headers_get(h, lower, 0);

    FUZZ_CHECK(str_ieq(lower, name) && headers_id(lower) == id);
    FUZZ_CHECK(str_eq(headers_lower(pool, lower), lower));
    FUZZ_CHECK(headers_name_valid(lower) == headers_name_valid(name));
    FUZZ_CHECK(first != NULL && first <= &h->items[at]);
    FUZZ_CHECK(headers_get(h, name, at) == &h->items[at]);
    FUZZ_CHECK(id == HEADER_OTHER || headers_find(h, id, 0) == first);
    check_remove(h, pool, name);
}

/* Whether one of the comma-separated parts of list is token. */
static bool has_token(struct str list, struct str token)
{
    while (list.p != NULL && list.n > 0)
        if (str_ieq(str_trim(str_cut(&list, ',')), token))
            return true;
    return false;
}

static void check_list(struct str text)
{
    struct headers h = {.items = NULL};
    struct pool pool;
    struct str rest = text;

    pool_init(&pool);
    while (rest.p != NULL && h.n < 24) {
        struct str value = str_cut(&rest, '\n'), name = str_cut(&value, ':');

        headers_add(&h, &pool, name, value);
        for (size_t i = 0; i < value.n; i++)
            FUZZ_CHECK(
                !headers_value_valid(value) ||
                ((unsigned char)value.p[i] >= ' ' && value.p[i] != 0x7f) ||
                value.p[i] == '\t');
        FUZZ_CHECK(headers_has_token(value, STR("close")) ==
                   has_token(value, STR("close")));
    }
    for (unsigned i = 0; i < h.n; i++)
        check_name(&h, &pool, h.items[i].name, i);
    pool_clear(&pool);
}

/* ---- chunks */

struct decoded {
    enum chunked_result result;
    size_t used; /* of the text */
    struct bytes data;
    int trailers; /* of chunked_trailers, after CHUNKED_END */
    unsigned fields;
};

static void decode_split(struct str text, size_t step, uint64_t max,
                         struct decoded *out)
{
    struct chunked c;
    struct headers fields = {.items = NULL};
    struct pool pool;

    *out = (struct decoded){.result = CHUNKED_MORE};
    chunked_init(&c, max);
    while (out->result == CHUNKED_MORE && text.n > 0) {
        struct str in = {text.p, text.n < step ? text.n : step};
        size_t given = in.n;
        char *copy = fuzz_copy(in);
        struct str data = {NULL, 0};

        in.p = copy;
        while ((out->result = chunked_next(&c, &in, &data)) == CHUNKED_DATA) {
            FUZZ_CHECK(data.n > 0);
            bytes_append(&out->data, data.p, data.n);
        }
        FUZZ_CHECK(out->result != CHUNKED_MORE || in.n == 0);
        out->used += given - in.n;
        text = str_skip(text, given - in.n);
        mem_free(copy);
    }
    pool_init(&pool);
    if (out->result == CHUNKED_END)
        out->trailers = chunked_trailers(&c, &fields, &pool, 0);
    out->fields = out->trailers == 0 ? fields.n : 0;
    for (unsigned i = 0; i < out->fields; i++)
        FUZZ_CHECK(headers_name_valid(fields.items[i].name) &&
                   headers_value_valid(fields.items[i].value));
    pool_clear(&pool);
    chunked_clear(&c);
}

static bool is_crlf(struct str s)
{
    return s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n';
}

static size_t skip_space(struct str s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
        i++;
    return i;
}

static size_t skip_token(struct str s, size_t i)
{
    while (i < s.n && headers_name_valid((struct str){s.p + i, 1}))
        i++;
    return i;
}

/* Behind the quoted string at i; 0 where it goes on behind s, -1 where it is
 * none. */
static long skip_quoted(struct str s, size_t i)
{
    for (i++; i < s.n; i++) {
        if (s.p[i] == '"')
            return (long)i + 1;
        if (s.p[i] == '\\' && ++i == s.n)
            return 0;
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return -1;
    }
    return 0;
}

/* Behind the value at i, as skip_quoted. */
static long skip_value(struct str s, size_t i)
{
    size_t end;

    if (i == s.n)
        return 0;
    if (s.p[i] == '"')
        return skip_quoted(s, i);
    end = skip_token(s, i);
    return end > i ? (long)end : -1;
}

/* The length of the extensions (RFC 9112 7.1.1) and their CR LF; -1 where they
 * are none, 0 where they go on behind the text. */
static long extension_length(struct str s)
{
    size_t i = 0, end;
    long behind;

    for (;;) {
        end = skip_space(s, i);
        if (end == s.n)
            return 0;
        if (s.p[end] == '\r')
            return end > i                ? -1
                   : end + 1 == s.n       ? 0
                   : s.p[end + 1] == '\n' ? (long)end + 2
                                          : -1;
        if (s.p[end] != ';')
            return -1;
        i = skip_space(s, end + 1);
        end = skip_token(s, i);
        if (end == s.n)
            return 0;
        if (end == i)
            return -1;
        i = skip_space(s, end);
        if (i == s.n)
            return 0;
        if (s.p[i] != '=') {
            i = end;
            continue;
        }
        behind = skip_value(s, skip_space(s, i + 1));
        if (behind <= 0)
            return behind;
        i = (size_t)behind;
    }
}

/* Reads a line with a chunk's size. Returns its length, -1 or 0 as above. */
static long size_line(struct str s, uint64_t *size)
{
    size_t n = 0, digits;
    long extension;

    *size = 0;
    while (n < s.n && s.p[n] != 0 &&
           strchr("0123456789abcdefABCDEF", s.p[n]) != NULL) {
        char digit[2] = {s.p[n++], 0};

        *size = *size * 16 + strtoul(digit, NULL, 16);
        if (n > 16 || *size >> 62)
            return -1;
    }
    digits = n;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
        n++;
    if (n == s.n)
        return digits == 0 && n > 0 ? -1 : 0;
    if (digits == 0 || (s.p[n] != ';' && s.p[n] != '\r') ||
        (s.p[n] == '\r' && n > digits))
        return -1;
    extension = extension_length(str_skip(s, n));
    return extension > 0 ? (long)n + extension : extension;
}

/* The trailer section: lines, and an empty one. */
static enum chunked_result read_section(struct str s, size_t *used)
{
    size_t start = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            return CHUNKED_BAD;
        if (s.p[i] != '\r')
            continue;
        if (i + 1 == s.n)
            return CHUNKED_MORE;
        if (s.p[i + 1] != '\n')
            return CHUNKED_BAD;
        *used = i + 2;
        if (i == start)
            return CHUNKED_END;
        start = i + 2;
        i++;
    }
    return CHUNKED_MORE;
}

/* All of the text at once, without a limit. */
static enum chunked_result decode_plainly(struct str text, struct bytes *data,
                                          size_t *used)
{
    struct str rest = text;
    uint64_t size = 1;

    while (size > 0) {
        long n = size_line(rest, &size);

        if (n <= 0)
            return n < 0 ? CHUNKED_BAD : CHUNKED_MORE;
        rest = str_skip(rest, (size_t)n);
        if (size == 0)
            break;
        bytes_append(data, rest.p, rest.n < size ? rest.n : (size_t)size);
        if (rest.n <= size)
            return CHUNKED_MORE;
        rest = str_skip(rest, (size_t)size);
        if (rest.p[0] != '\r' || (rest.n > 1 && !is_crlf(rest)))
            return CHUNKED_BAD;
        if (rest.n < 2)
            return CHUNKED_MORE;
        rest = str_skip(rest, 2);
    }
    *used = 0;
    switch (read_section(rest, used)) {
    case CHUNKED_END:
        *used += (size_t)(rest.p - text.p);
        return CHUNKED_END;
    case CHUNKED_BAD:
        return CHUNKED_BAD;
    default:
        return CHUNKED_MORE;
    }
}

/* Nothing but data, line ends and size digits goes beyond the limit. */
static void check_limit(struct str text, uint64_t max,
                        const struct decoded *free)
{
    struct decoded limited, split;
    uint64_t chunks;

    decode_split(text, text.n + 1, max, &limited);
    decode_split(text, 1, max, &split);
    FUZZ_CHECK(limited.result == split.result && limited.used == split.used);
    chunks = limited.data.n + 2; /* at most: one byte each, and the last */
    FUZZ_CHECK(limited.used - limited.data.n <= max + 1 + 20 * chunks);
    if (limited.result != CHUNKED_BAD)
        FUZZ_CHECK(limited.result == free->result &&
                   str_eq(text_of(&limited.data), text_of(&free->data)));
    bytes_clear(&limited.data);
    bytes_clear(&split.data);
}

static void check_chunks(struct str text, uint64_t max)
{
    struct decoded whole, split;
    struct bytes data;
    size_t used = 0;

    bytes_init(&data);
    decode_split(text, text.n + 1, UINT64_MAX, &whole);
    FUZZ_CHECK(decode_plainly(text, &data, &used) == whole.result);
    FUZZ_CHECK(str_eq(text_of(&data), text_of(&whole.data)) ||
               whole.result == CHUNKED_BAD);
    FUZZ_CHECK(whole.result != CHUNKED_END || used == whole.used);
    for (size_t step = 1; step < 8; step = step * 2 + 1) {
        decode_split(text, step, UINT64_MAX, &split);
        FUZZ_CHECK(split.result == whole.result && split.used == whole.used);
        FUZZ_CHECK(split.trailers == whole.trailers);
        FUZZ_CHECK(split.fields == whole.fields);
        FUZZ_CHECK(str_eq(text_of(&split.data), text_of(&whole.data)));
        bytes_clear(&split.data);
    }
    check_limit(text, max, &whole);
    bytes_clear(&whole.data);
    bytes_clear(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_open(data, size);
    struct limits limits = LIMITS_DEFAULT;
    char *copy = fuzz_copy(in.text);
    struct str text = {copy, in.text.n};
    unsigned line = fuzz_take(&in), all = fuzz_take(&in);
    unsigned count = fuzz_take(&in), overhead = fuzz_take(&in);

    check_heads(text, &limits);
    limits.max_request_line = line > 0 ? line : limits.max_request_line;
    limits.max_header_size = all > 0 ? all * 2 : limits.max_header_size;
    limits.max_headers = count > 0 ? count % 16 : limits.max_headers;
    check_heads(text, &limits);
    check_list(text);
    check_chunks(text, overhead);
    mem_free(copy);
    return 0;
}
