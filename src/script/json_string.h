/* Strings as JSON writes them (RFC 8259 7). Used by json_encode.c and
 * json_decode.c; independent of Lua. */
#ifndef SCRIPT_JSON_STRING_H
#define SCRIPT_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Adds the n bytes at p between quotes to out, escaped where they must be; what
 * is not UTF-8 becomes U+FFFD. */
void json_string_write(struct bytes *out, const char *p, size_t n);

/* Finds the quote that ends the string whose characters begin at p; end is the
 * end of the text, where a NUL stands. Sets *escaped where there are escapes,
 * and else leaves it. Returns NULL where the string is not valid; then *at is
 * the offending byte and *problem what is wrong there (static). */
const char *json_string_scan(const char *p, const char *end, bool *escaped,
                             const char **at, const char **problem);

/* Writes the characters from p to end, which json_string_scan found valid,
 * without their escapes to out; they are never longer. A surrogate without its
 * other half becomes U+FFFD. Returns the count of bytes. */
size_t json_string_unescape(const char *p, const char *end, char *out);

#endif
