/* The request-target (RFC 9112 3.2) and its parts: which of the four forms it
 * has, the path made safe to look up, the pairs of a query, and whether a Host
 * is one. Used by h1 and h2 to refuse malformed requests and by script/ for
 * req.path and req.query. Slices point into what was given, or into the pool
 * where decoding changed them. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include <stdbool.h>

#include "base/pool.h"
#include "base/str.h"

enum target_form {
    TARGET_ORIGIN,    /* "/path?query" */
    TARGET_ABSOLUTE,  /* "http://host/path?query" */
    TARGET_AUTHORITY, /* "host:port", CONNECT alone */
    TARGET_ASTERISK   /* "*", OPTIONS alone */
};

struct target {
    enum target_form form;
    struct str scheme;    /* as sent; TARGET_ABSOLUTE alone */
    struct str authority; /* not empty where the form has one */
    struct str path;      /* not decoded; empty for TARGET_AUTHORITY */
    struct str query;     /* not decoded, without the '?' */
    bool has_query;       /* there was a '?', maybe with nothing behind it */
};

/* Takes raw, the target of a request with that method, apart. The path begins
 * with '/', or is "*": for TARGET_ASTERISK, and for OPTIONS on an absolute form
 * that has neither path nor query (RFC 9112 3.2.4). The parts borrow from raw.
 *
 * Returns -1 where raw is malformed: empty; a form that does not go with the
 * method; an authority that is none, is empty or holds user information (RFC
 * 9110 4.2.4); '#'; bytes that are no URI characters. Of those, what browsers
 * send unescaped all the same (the URL standard of WHATWG) is let through: '|'
 * and '^' anywhere, and backslash, '`', '{' and '}' in the query. Escapes are
 * not looked at. For h2's :path, pass a method other than CONNECT, and refuse
 * TARGET_ABSOLUTE. */
int target_parse(struct str method, struct str raw, struct target *out);

/* Makes a raw path (of target_parse) the one to look up: percent-decoded once,
 * dot segments removed (RFC 3986 5.2.4). The result is valid as long as raw
 * and the pool. It always begins with '/', has no segment "." or "..", and no
 * NUL byte; an empty path becomes "/". So it names nothing above the root under
 * which it is looked up, however the peer escaped it.
 *
 * An escaped slash ("%2F") is data of its segment: it decodes to '/', but it
 * makes no dot segment. Where decoding it would leave one ("..%2Fetc"), the
 * path is refused, since readers before and behind us would disagree on what
 * it means. Empty segments stay, as in RFC 3986: "//host/" is a path here, but
 * would be another host in a Location header.
 *
 * Returns -1 at a malformed escape, at NUL, at such a segment, and for anything
 * that does not begin with '/' ("*" is the caller's case). */
int target_path(struct pool *pool, struct str raw, struct str *out);

/* True where host is a valid value of a Host header or an authority: a name, an
 * IPv4 address or an IPv6 address in brackets, and maybe a port (RFC 3986
 * 3.2.2, without its IPvFuture). Empty is valid in a Host header (RFC 9110
 * 7.2); user information never is. */
bool target_host_valid(struct str host);

/* Takes the next pair off *rest, a query without '?' or a body in the form
 * application/x-www-form-urlencoded, as Node's querystring does: '+' is a
 * space, a malformed escape stands for itself, a piece without '=' has an empty
 * value, empty pieces are skipped. Returns false at the end. Key and value
 * borrow from *rest or the pool. */
bool target_next_pair(struct str *rest, struct pool *pool, struct str *key,
                      struct str *value);

#endif
