/* The Accept fields of a request as preferences (RFC 9110 12.4.2, 12.5): how
 * much a client wants a coding. Used where an answer is chosen by them. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include "http/headers.h"

enum { ACCEPT_MOST = 1000 }; /* a weight of 1 */

/* The weight, 0 to ACCEPT_MOST, that the fields of that name give to value, by
 * its own name or by "*"; -1 where they do not speak of it, or there are none.
 */
int accept_weight(const struct headers *h, struct str name, struct str value);

#endif
