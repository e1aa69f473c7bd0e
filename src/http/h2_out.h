/* The answers of HTTP/2: the codec of its exchanges, and what nghttp2 is told
 * and given of them. Used by h2, h2_session, h2_stream. */
#ifndef HTTP_H2_OUT_H
#define HTTP_H2_OUT_H

#include "http/h2_stream.h"

/* The codec of every exchange of HTTP/2. */
extern const struct codec h2_out_codec;

/* Tells nghttp2 what is new of the answer of s. */
void h2_out_submit(struct h2_stream *s);

/* Sends a DATA frame of n bytes, as nghttp2's callback does. */
int h2_out_send(struct h2_stream *s, const uint8_t *frame_head, size_t n);

#endif
