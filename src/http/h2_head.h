/* The head of a request of HTTP/2, and its trailers: collected within limits,
 * then checked for what nghttp2 lets through. Used by h2_session, h2_stream. */
#ifndef HTTP_H2_HEAD_H
#define HTTP_H2_HEAD_H

#include "http/h2_stream.h"

/* Adds a field of a request's head or trailers; borrows nothing. Over the limit
 * it only counts; far over it, it ends the connection. */
void h2_head_add(struct h2_stream *s, struct str name, struct str value);

/* The head is complete. Returns 0, or the status that refuses it. */
int h2_head_check(struct h2_stream *s);

#endif
