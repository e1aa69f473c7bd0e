/* A connection of HTTP/1 that was upgraded to something else. Used by h1 and
 * h1_out. */
#ifndef HTTP_H1_RAW_H
#define HTTP_H1_RAW_H

#include "http/exchange.h"

struct h1;

/* Leaves HTTP: the upgrade() of h1's codec. */
struct str h1_raw_begin(struct exchange *x);

/* One step in what comes; false where it has to wait. */
bool h1_raw_step(struct h1 *h);

#endif
