/* Text made safe to stand in HTML: between tags, and in quoted values of
 * attributes. Used by templates, listings and error pages. */
#ifndef BASE_HTML_H
#define BASE_HTML_H

#include "base/bytes.h"

/* Adds the n bytes at p to out, with & < > " ' as character references; all
 * other bytes are left as they are. */
void html_escape(struct bytes *out, const char *p, size_t n);

#endif
