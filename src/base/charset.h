/* Text in the few encodings that still come over the wire, to UTF-8. UTF-8
 * itself is not looked at. Used by script/l_body.c. */
#ifndef BASE_CHARSET_H
#define BASE_CHARSET_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/str.h"

enum charset {
    CHARSET_UNKNOWN,
    CHARSET_UTF8,
    CHARSET_ASCII,
    CHARSET_LATIN1, /* ISO-8859-1, not the windows-1252 of browsers */
    CHARSET_UTF16,  /* a byte order mark decides, else it is little endian */
    CHARSET_UTF16LE,
    CHARSET_UTF16BE
};

/* The encoding of that name, whatever its case. */
enum charset charset_of(struct str name);

/* The encoding that a byte order mark in front of text tells, or
 * CHARSET_UNKNOWN. */
enum charset charset_marked(struct str text);

/* Adds text as UTF-8 to out, without a byte order mark. Returns false where
 * text is malformed; out may have a part of it then. */
bool charset_decode(enum charset charset, struct str text, struct bytes *out);

#endif
