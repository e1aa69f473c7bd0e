/* The codec of HTTP/1. Used by h1; h1_raw has some of its functions. */
#ifndef HTTP_H1_OUT_H
#define HTTP_H1_OUT_H

#include "http/exchange.h"

extern const struct codec h1_out_codec;

/* What is the same after an upgrade; exchange.h says what they do. */
void h1_out_resume(struct exchange *x);
size_t h1_out_queued(struct exchange *x);
void h1_out_want_drain(struct exchange *x);
void h1_out_reset(struct exchange *x, enum closed why);
struct conn *h1_out_conn(const struct exchange *x);

#endif
