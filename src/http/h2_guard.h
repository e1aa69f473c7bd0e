/* What a client of HTTP/2 may not do for ever: floods and stalls. Used by the
 * files of HTTP/2. */
#ifndef HTTP_H2_GUARD_H
#define HTTP_H2_GUARD_H

#include "http/h2_state.h"

/* Counts one; over the rate, ends the connection. */
void h2_guard_count(struct h2 *h, enum h2_count what);

/* Sets the connection's deadline to the nearest of all that apply. */
void h2_guard_set_deadline(struct h2 *h);

/* Does what is due by now. */
void h2_guard_on_deadline(struct h2 *h);

#endif
