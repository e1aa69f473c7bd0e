/* The head of an HTTP/1 response as text (RFC 9112 4, 5). Used by h1. */
#ifndef HTTP_RENDER_H
#define HTTP_RENDER_H

#include <time.h>

#include "base/buf.h"
#include "http/exchange.h"

/* What the connection adds to the response's own fields. */
enum render_connection { RENDER_NOTHING, RENDER_CLOSE, RENDER_KEEP_ALIVE };

/* Appends the status line, x->response, Date (unless there is one), Connection,
 * and a Content-Length where length >= 0, Transfer-Encoding where x->chunked.
 * now: seconds of the wall clock. */
void render_head(struct buf *out, const struct exchange *x, int64_t length,
                 enum render_connection connection, time_t now);

/* Appends an interim response with these fields (may be NULL). */
void render_interim(struct buf *out, int status, const struct headers *fields);

/* Appends fields as lines: a trailer section without the empty line. */
void render_fields(struct buf *out, const struct headers *fields);

#endif
