/* What the events of an exchange mean to writers that wait in res:write. Used
 * by l_exchange. */
#ifndef SCRIPT_L_RESPONSE_H
#define SCRIPT_L_RESPONSE_H

struct context;

/* [-0, +0, -] The client of c has caught up, or, where why is not NULL, is
 * gone: lets the writers beyond the first go on (the first is c->drain). */
void l_response_drained(struct context *c, const char *why);

#endif
