/* The media type of a file, told by its extension, as the value of a
 * Content-Type header. Used by http/file.c for static files and by script/ for
 * res:type. */
#ifndef HTTP_MIME_H
#define HTTP_MIME_H

#include "base/str.h"

/* The media type, static, for a file name, a path ("a/b.html"), or an extension
 * with or without its dot (".html", "html"), in any case of letters; text comes
 * with "; charset=utf-8". Never empty: application/octet-stream where the
 * extension is missing or unknown. */
struct str mime_type(struct str name);

#endif
