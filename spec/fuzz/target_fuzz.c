/* Request targets, hosts, queries and cookies (http/target.h, http/cookie.h):
 * whatever the bytes, what comes out keeps the headers' promises, agrees with
 * a plain reading of the same rules, and reads back as itself. */
#include "fuzz.h"

#include "base/bytes.h"
#include "base/encode.h"
#include "http/cookie.h"
#include "http/target.h"

static bool has(struct str s, char c)
{
    return s.n > 0 && memchr(s.p, c, s.n) != NULL;
}

static struct str text_of(const struct bytes *b)
{
    return (struct str){b->n ? b->p : "", b->n};
}

static void add(struct bytes *b, struct str s)
{
    if (s.n > 0)
        bytes_append(b, s.p, s.n);
}

/* ---- target_path */

static bool is_dots(struct str s)
{
    return str_eq(s, STR(".")) || str_eq(s, STR(".."));
}

/* Whether one of the parts of s between slashes is a dot segment. */
static bool has_dots(struct str s)
{
    struct str part;

    while (s.p != NULL) {
        part = str_cut(&s, '/');
        if (is_dots(part))
            return true;
    }
    return false;
}

/* Decodes one segment to the end of out. False where it is to be refused. */
static bool decode_segment(struct str segment, struct bytes *out,
                           struct str *decoded)
{
    char *room = bytes_reserve(out, segment.n + 1);
    ssize_t n = encode_unpercent(segment.p, segment.n, room, 0);

    if (n < 0)
        return false;
    *decoded = (struct str){room, (size_t)n};
    return !has(*decoded, '\0') && !(has(*decoded, '/') && has_dots(*decoded));
}

/* What target_path promises, without regard to speed: segments are decoded one
 * by one and stacked, a slash before each; starts says where they begin. False
 * where the path is to be refused. */
static bool resolve(struct str raw, struct bytes *out, struct bytes *starts)
{
    struct str rest = str_skip(raw, 1), segment;
    bool is_open = false; /* the last one was a dot segment */

    while (rest.p != NULL) {
        size_t start = out->n;

        bytes_append(out, "/", 1);
        if (!decode_segment(str_cut(&rest, '/'), out, &segment))
            return false;
        is_open = is_dots(segment);
        if (!is_open) {
            bytes_append(starts, &start, sizeof start);
            bytes_commit(out, segment.n);
            continue;
        }
        out->n = start;
        if (segment.n == 2 && starts->n > 0) {
            starts->n -= sizeof start;
            memcpy(&out->n, starts->p + starts->n, sizeof start);
        }
    }
    if (is_open)
        bytes_append(out, "/", 1);
    return true;
}

/* A path that names itself: the result of target_path, escaped. */
static void check_stable(struct pool *pool, struct str path)
{
    struct bytes escaped;
    struct str again = {NULL, 0};

    bytes_init(&escaped);
    for (size_t i = 0; i < path.n; i++) {
        char *room = bytes_reserve(&escaped, 3);

        if (path.p[i] == '/')
            bytes_append(&escaped, "/", 1);
        else
            bytes_commit(&escaped, encode_percent(path.p + i, 1, room));
    }
    FUZZ_CHECK(target_path(pool, text_of(&escaped), &again) == 0);
    FUZZ_CHECK(str_eq(again, path));
    bytes_clear(&escaped);
}

static void check_path(struct pool *pool, struct str raw)
{
    struct str path = {NULL, 0};
    struct bytes expected, starts;
    bool refused = target_path(pool, raw, &path) != 0;

    if (raw.n == 0)
        raw = STR("/");
    bytes_init(&expected);
    bytes_init(&starts);
    FUZZ_CHECK(refused == (raw.p[0] != '/' || has(raw, '\0') ||
                           !resolve(raw, &expected, &starts)));
    if (!refused) {
        FUZZ_CHECK(path.n > 0 && path.p[0] == '/');
        FUZZ_CHECK(!has(path, '\0'));
        FUZZ_CHECK(!has_dots(path));
        FUZZ_CHECK(str_eq(path, text_of(&expected)));
        check_stable(pool, path);
    }
    bytes_clear(&expected);
    bytes_clear(&starts);
}

/* ---- target_parse */

/* Nothing in an accepted target may end a line, a word or a string. */
static void check_bytes(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        FUZZ_CHECK(s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '#');
}

static void check_origin(struct pool *pool, const struct target *t)
{
    struct target again;
    struct bytes text;

    if (t->path.p[0] != '/')
        return;
    bytes_init(&text);
    add(&text, t->path);
    if (t->has_query)
        bytes_append(&text, "?", 1);
    add(&text, t->query);
    FUZZ_CHECK(target_parse(STR("GET"), text_of(&text), &again) == 0);
    FUZZ_CHECK(again.form == TARGET_ORIGIN);
    FUZZ_CHECK(str_eq(again.path, t->path) && str_eq(again.query, t->query));
    FUZZ_CHECK(again.has_query == t->has_query);
    bytes_clear(&text);
    check_path(pool, t->path);
}

/* The parts, put together, are raw again. */
static void check_parts(struct str method, struct str raw,
                        const struct target *t)
{
    struct bytes text;
    bool is_default = t->form == TARGET_ABSOLUTE && t->path.p != NULL &&
                      (t->path.p < raw.p || t->path.p >= raw.p + raw.n);

    bytes_init(&text);
    add(&text, t->scheme);
    if (t->form == TARGET_ABSOLUTE)
        bytes_append(&text, "://", 3);
    add(&text, t->authority);
    if (!is_default)
        add(&text, t->path);
    if (t->has_query)
        bytes_append(&text, "?", 1);
    add(&text, t->query);
    FUZZ_CHECK(str_eq(text_of(&text), raw));
    FUZZ_CHECK((t->form == TARGET_AUTHORITY) == str_eq(method, STR("CONNECT")));
    bytes_clear(&text);
}

static void check_target(struct pool *pool, struct str method, struct str raw)
{
    struct target t;

    if (target_parse(method, raw, &t) != 0)
        return;
    check_bytes(raw);
    check_parts(method, raw, &t);
    FUZZ_CHECK(t.form != TARGET_ABSOLUTE || t.authority.n > 0);
    FUZZ_CHECK(t.authority.n == 0 || target_host_valid(t.authority));
    FUZZ_CHECK(!has(t.authority, '@'));
    FUZZ_CHECK(
        t.form == TARGET_AUTHORITY ||
        (t.path.n > 0 && (t.path.p[0] == '/' || str_eq(t.path, STR("*")))));
    FUZZ_CHECK(t.form != TARGET_ASTERISK || str_eq(raw, STR("*")));
    if (t.form == TARGET_ORIGIN || t.form == TARGET_ABSOLUTE)
        check_origin(pool, &t);
}

/* A host is one exactly where the URL made of it is. */
static void check_host(struct str host)
{
    struct bytes url;
    struct target t;
    bool valid = target_host_valid(host);

    if (host.n == 0 || has(host, '/') || has(host, '?'))
        return;
    bytes_init(&url);
    add(&url, STR("http://"));
    add(&url, host);
    FUZZ_CHECK((target_parse(STR("GET"), text_of(&url), &t) == 0) == valid);
    bytes_clear(&url);
}

/* ---- pairs and cookies */

/* Decodes a form's text, byte by byte. */
static void unescape(struct str s, struct bytes *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '+' ? ' ' : s.p[i];

        if (c == '%' && i + 2 < s.n && encode_hex_value(s.p[i + 1]) >= 0 &&
            encode_hex_value(s.p[i + 2]) >= 0) {
            c = (char)(encode_hex_value(s.p[i + 1]) * 16 +
                       encode_hex_value(s.p[i + 2]));
            i += 2;
        }
        bytes_append(out, &c, 1);
    }
}

static void check_decoded(struct str got, struct str raw)
{
    struct bytes wanted;

    bytes_init(&wanted);
    unescape(raw, &wanted);
    FUZZ_CHECK(str_eq(got, text_of(&wanted)));
    bytes_clear(&wanted);
}

static void check_pairs(struct pool *pool, struct str query)
{
    struct str rest = query, key, value;

    while (query.p != NULL) {
        struct str piece = str_cut(&query, '&'), name;

        if (piece.n == 0)
            continue;
        FUZZ_CHECK(target_next_pair(&rest, pool, &key, &value));
        name = str_cut(&piece, '=');
        check_decoded(key, name);
        check_decoded(value, piece);
    }
    FUZZ_CHECK(!target_next_pair(&rest, pool, &key, &value));
    FUZZ_CHECK(!target_next_pair(&rest, pool, &key, &value));
}

static void check_cookies(struct pool *pool, struct str header)
{
    struct str rest = header, name, value;
    size_t before = rest.n;

    while (cookie_next(&rest, pool, &name, &value)) {
        FUZZ_CHECK(rest.n < before);
        before = rest.n;
        FUZZ_CHECK(name.n > 0 && !has(name, ';') && !has(name, '='));
        FUZZ_CHECK(str_eq(name, str_trim(name)));
        FUZZ_CHECK(name.p >= header.p && name.p < header.p + header.n);
    }
    FUZZ_CHECK(rest.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "OPTIONS", "CONNECT", "x"};
    struct fuzz_input in = fuzz_open(data, size);
    char *copy = fuzz_copy(in.text);
    struct str text = {copy, in.text.n};
    struct pool pool;

    pool_init(&pool);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        check_target(&pool, str_of(methods[i]), text);
    check_path(&pool, text);
    check_host(text);
    check_pairs(&pool, text);
    check_cookies(&pool, text);
    pool_clear(&pool);
    mem_free(copy);
    return 0;
}
