/* RFC 6265 tells servers what to send but browsers send whatever scripts of the
 * page have set, so reading is tolerant: one odd cookie (often another
 * program's, on the same host) must not hide the others. The decoding is a
 * habit of Express, whose res.cookie escapes what a cookie cannot hold; reading
 * Latin-1 or checking for UTF-8 is left out, the value is bytes. */
#include "http/cookie.h"

#include "base/encode.h"

static struct str unquote(struct str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return (struct str){s.p + 1, s.n - 2};
    return s;
}

static struct str decode(struct pool *pool, struct str s)
{
    ssize_t n;
    char *out;

    if (s.n == 0 || memchr(s.p, '%', s.n) == NULL)
        return s;
    out = pool_alloc(pool, s.n);
    n = encode_unpercent(s.p, s.n, out, 0);
    return n < 0 ? s : (struct str){out, (size_t)n};
}

bool cookie_next(struct str *rest, struct pool *pool, struct str *name,
                 struct str *value)
{
    while (rest->n > 0) {
        struct str piece = str_cut(rest, ';');

        *name = str_trim(str_cut(&piece, '='));
        if (piece.p == NULL || name->n == 0)
            continue; /* no '=', or nothing before it */
        *value = decode(pool, unquote(str_trim(piece)));
        return true;
    }
    return false;
}
