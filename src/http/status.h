/* The status codes of HTTP and their reason phrases, spelled as Node spells
 * them. Used by the h1 codec for the status line and by script/ for
 * http.STATUS_CODES. */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include "base/str.h"

/* The reason phrase of code, static; {NULL, 0} where the code is unknown. Any
 * int may be asked for. */
struct str status_reason(int code);

/* The smallest known code above after, or 0 where there is none: a loop over
 * all codes starts with status_next(0). */
int status_next(int after);

#endif
