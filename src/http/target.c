/* One table says which bytes may stand where; everything else is cutting
 * slices. Nothing is decoded before it was cut apart, and nothing is decoded
 * twice: the two mistakes that let "%252e" or "%2F" mean more here than they
 * meant to the proxy in front. Resolving a relative reference and knowing
 * schemes or default ports are left out. */
#include "http/target.h"

#include <arpa/inet.h>

#include "base/encode.h"

enum { IN_SCHEME = 1, IN_HOST = 2, IN_PATH = 4, IN_QUERY = 8 };
enum { UNRESERVED = IN_HOST | IN_PATH | IN_QUERY, SUB_DELIM = UNRESERVED };
enum { IN_ALL = UNRESERVED | IN_SCHEME, IN_URL = IN_PATH | IN_QUERY };

/* Where a byte may stand (RFC 3986 2 and 3). '%' is missing for hosts, whose
 * escapes are checked by hand. */
static const unsigned char places[256] = {
    ['a' ... 'z'] = IN_ALL,
    ['A' ... 'Z'] = IN_ALL,
    ['0' ... '9'] = IN_ALL,
    ['+'] = IN_ALL,
    ['-'] = IN_ALL,
    ['.'] = IN_ALL,
    ['_'] = UNRESERVED,
    ['~'] = UNRESERVED,
    ['!'] = SUB_DELIM,
    ['$'] = SUB_DELIM,
    ['&'] = SUB_DELIM,
    ['\''] = SUB_DELIM,
    ['('] = SUB_DELIM,
    [')'] = SUB_DELIM,
    ['*'] = SUB_DELIM,
    [','] = SUB_DELIM,
    [';'] = SUB_DELIM,
    ['='] = SUB_DELIM,
    ['%'] = IN_URL,
    ['/'] = IN_URL,
    [':'] = IN_URL,
    ['@'] = IN_URL,
    ['['] = IN_URL,
    [']'] = IN_URL,
    ['?'] = IN_QUERY,
    /* No URI characters, but sent by browsers. */
    ['|'] = IN_URL,
    ['^'] = IN_URL,
    ['\\'] = IN_QUERY,
    ['`'] = IN_QUERY,
    ['{'] = IN_QUERY,
    ['}'] = IN_QUERY};

/* The count of leading bytes of s that may stand in place. */
static size_t span(struct str s, unsigned char place)
{
    size_t n = 0;

    while (n < s.n && (places[(unsigned char)s.p[n]] & place))
        n++;
    return n;
}

static bool has_byte(struct str s, char c)
{
    return s.n > 0 && memchr(s.p, c, s.n) != NULL;
}

/* Authority: host [":" port], RFC 3986 3.2 without userinfo. */

/* The number in text, 0-65535, 0 where it is empty; -1 where it is no port. */
static int port_number(struct str text)
{
    int number = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        number = number * 10 + (text.p[i] - '0');
        if (number > 65535)
            return -1;
    }
    return number;
}

static bool ipv6_valid(struct str text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (text.n == 0 || text.n >= sizeof copy || has_byte(text, '\0'))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

/* reg-name, of which an IPv4 address is a case. */
static bool name_valid(struct str name)
{
    while (name.n > 0) {
        size_t n = span(name, IN_HOST);

        if (n < name.n) {
            if (name.p[n] != '%' || name.n - n < 3 ||
                encode_hex_value(name.p[n + 1]) < 0 ||
                encode_hex_value(name.p[n + 2]) < 0)
                return false;
            n += 3;
        }
        name = str_skip(name, n);
    }
    return true;
}

/* Checks an authority that is not empty; *port is what is behind the ':', with
 * a NULL pointer where there is none. */
static bool authority_valid(struct str authority, struct str *port)
{
    struct str rest = authority, host;

    if (authority.p[0] == '[') {
        host = str_cut(&rest, ']');
        if (rest.p == NULL || !ipv6_valid(str_skip(host, 1)) ||
            (rest.n > 0 && rest.p[0] != ':'))
            return false;
        *port = rest.n > 0 ? str_skip(rest, 1) : (struct str){NULL, 0};
    } else {
        host = str_cut(&rest, ':');
        if (host.n == 0 || !name_valid(host))
            return false;
        *port = rest;
    }
    return port_number(*port) >= 0;
}

bool target_host_valid(struct str host)
{
    struct str port;

    return host.n == 0 || authority_valid(host, &port);
}

/* The request-target. */

/* "/path" or "", and maybe "?query". */
static int parse_path(struct str raw, struct target *out)
{
    size_t n = span(raw, IN_PATH);

    out->path = (struct str){raw.p, n};
    if (n == raw.n)
        return 0;
    if (raw.p[n] != '?')
        return -1;
    out->has_query = true;
    out->query = str_skip(raw, n + 1);
    return span(out->query, IN_QUERY) == out->query.n ? 0 : -1;
}

/* RFC 9112 3.2.2. Only hierarchical schemes have an origin to ask. */
static int parse_absolute(struct str method, struct str raw, struct target *out)
{
    size_t n = span(raw, IN_SCHEME);
    struct str rest = str_skip(raw, n), port;

    out->form = TARGET_ABSOLUTE;
    out->scheme = (struct str){raw.p, n};
    if (n == 0 || raw.p[0] < 'A' || !str_starts(rest, STR("://")))
        return -1; /* a scheme begins with a letter, RFC 3986 3.1 */
    rest = str_skip(rest, 3);
    for (n = 0; n < rest.n && rest.p[n] != '/' && rest.p[n] != '?';)
        n++;
    out->authority = (struct str){rest.p, n};
    if (n == 0 || !authority_valid(out->authority, &port) ||
        parse_path(str_skip(rest, n), out) < 0)
        return -1;
    if (out->path.n == 0) /* RFC 9110 4.2.3, RFC 9112 3.2.4 */
        out->path = str_eq(method, STR("OPTIONS")) && !out->has_query
                        ? STR("*")
                        : STR("/");
    return 0;
}

/* RFC 9112 3.2.3; the port is required and must be one (RFC 9110 9.3.6). */
static int parse_authority(struct str raw, struct target *out)
{
    struct str port;

    out->form = TARGET_AUTHORITY;
    out->authority = raw;
    return authority_valid(raw, &port) && port_number(port) > 0 ? 0 : -1;
}

int target_parse(struct str method, struct str raw, struct target *out)
{
    *out = (struct target){.form = TARGET_ORIGIN};
    if (raw.n == 0)
        return -1;
    if (str_eq(method, STR("CONNECT")))
        return parse_authority(raw, out);
    if (raw.p[0] == '/')
        return parse_path(raw, out);
    if (!str_eq(raw, STR("*")))
        return parse_absolute(method, raw, out);
    out->form = TARGET_ASTERISK;
    out->path = raw;
    return str_eq(method, STR("OPTIONS")) ? 0 : -1;
}

/* The path to look up. */

static bool is_dots(const char *p, size_t n)
{
    return (n == 1 || n == 2) && p[0] == '.' && p[n - 1] == '.';
}

/* Marks the n bytes of a decoded segment: each '/' in it was escaped, and
 * becomes NUL for now, lest it be taken for a separator. False where that, or
 * the escape of a NUL, makes the path one to refuse. */
static bool mark_segment(char *segment, size_t n)
{
    size_t start = 0;

    if (n > 0 && memchr(segment, '\0', n) != NULL)
        return false;
    if (n == 0 || memchr(segment, '/', n) == NULL)
        return true;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && segment[i] != '/')
            continue;
        if (is_dots(segment + start, i - start))
            return false;
        if (i < n)
            segment[i] = '\0';
        start = i + 1;
    }
    return true;
}

/* Where the last segment before at begins, its slash included; out where there
 * is none: ".." does not lead above the root. */
static char *last_segment(const char *out, char *at)
{
    while (at > out && *--at != '/')
        ;
    return at;
}

/* Does what target_path says for a path that needs it; out has room for raw.n
 * bytes. Returns the end of what was written, or NULL to refuse. */
static char *resolve(struct str raw, char *out)
{
    struct str rest = str_skip(raw, 1);
    char *at = out;

    while (rest.p != NULL) {
        struct str segment = str_cut(&rest, '/');
        ssize_t n;

        *at = '/';
        n = encode_unpercent(segment.p, segment.n, at + 1, 0);
        if (n < 0 || !mark_segment(at + 1, (size_t)n))
            return NULL;
        if (!is_dots(at + 1, (size_t)n)) {
            at += 1 + n;
            continue;
        }
        if (n == 2)
            at = last_segment(out, at);
        if (rest.p == NULL)
            *at++ = '/'; /* "/a/.." is "/", not "" */
    }
    return at;
}

int target_path(struct pool *pool, struct str raw, struct str *out)
{
    char *copy, *end;

    if (raw.n == 0)
        raw = STR("/");
    if (raw.p[0] != '/' || has_byte(raw, '\0'))
        return -1;
    *out = raw;
    if (!has_byte(raw, '%') && memmem(raw.p, raw.n, "/.", 2) == NULL)
        return 0; /* most paths */
    copy = pool_alloc(pool, raw.n);
    end = resolve(raw, copy);
    if (end == NULL)
        return -1;
    *out = (struct str){copy, (size_t)(end - copy)};
    while ((copy = memchr(copy, '\0', (size_t)(end - copy))) != NULL)
        *copy++ = '/';
    return 0;
}

/* Pairs of a query. */

/* Decodes s like Node's querystring.unescape: what is no escape stays. */
static struct str decode(struct pool *pool, struct str s)
{
    char *out, *at;

    if (!has_byte(s, '%') && !has_byte(s, '+'))
        return s;
    out = at = pool_alloc(pool, s.n);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '+') {
            c = ' ';
        } else if (c == '%' && s.n - i > 2) {
            ssize_t got = encode_unpercent(s.p + i, 3, at, 0);

            if (got == 1) {
                at++;
                i += 2;
                continue;
            }
        }
        *at++ = c;
    }
    return (struct str){out, (size_t)(at - out)};
}

bool target_next_pair(struct str *rest, struct pool *pool, struct str *key,
                      struct str *value)
{
    struct str piece = {NULL, 0};

    while (piece.n == 0 && rest->n > 0)
        piece = str_cut(rest, '&');
    if (piece.n == 0)
        return false;
    *key = decode(pool, str_cut(&piece, '='));
    *value = decode(pool, piece);
    return true;
}
