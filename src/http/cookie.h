/* The cookies that a request brings, one at a time. Used by script/ to build
 * req.cookies; setting cookies is Lua's (luaserve.cookie). */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include <stdbool.h>

#include "base/pool.h"
#include "base/str.h"

/* Takes the next cookie off *rest, the value of a Cookie header (RFC 6265 4.2).
 * Returns false at the end. Surrounding white space and quotes are stripped;
 * the value is percent-decoded, or left as it is where one of its escapes is
 * malformed. Pieces without a name or without '=' are skipped. A name may come
 * twice: clients put the most specific path first (RFC 6265 5.4), so the first
 * is the one that counts. *name borrows from the header, *value from the header
 * or from the pool. */
bool cookie_next(struct str *rest, struct pool *pool, struct str *name,
                 struct str *value);

#endif
