/* The bodies of requests, in HTTP/1. Used by h1 and h1_out. */
#ifndef HTTP_H1_BODY_H
#define HTTP_H1_BODY_H

#include <stdbool.h>

struct exchange;
struct h1;

/* One step in a body; false where it has to wait for bytes or the handler. */
bool h1_body_step(struct h1 *h);

/* Within a step: delivers what is there of the body that x reads. */
void h1_body_pull(struct h1 *h, struct exchange *x);

#endif
