/* The parameters of a field's value: ; name=value; name="quoted" (RFC 9110
 * 5.6.6, RFC 2045 5.1). For Content-Type and Content-Disposition, which say by
 * them where a body is to be cut and what a file is called. */
#ifndef HTTP_PARAM_H
#define HTTP_PARAM_H

#include "base/str.h"

struct param {
    struct str name, value;
};

/* Takes the next parameter off text, which begins at the value's first ';' or
 * behind one, and is the caller's to be written to: a quoted value is unescaped
 * where it lies. Returns 1, 0 at the end, -1 where text is malformed. */
int param_next(char **text, char *end, struct param *param);

#endif
