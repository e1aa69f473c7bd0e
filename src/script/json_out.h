/* Adding small pieces to the bytes that become JSON, without a call where there
 * is room. Used by the files that write JSON. All functions are inline. */
#ifndef SCRIPT_JSON_OUT_H
#define SCRIPT_JSON_OUT_H

#include <string.h>

#include "base/bytes.h"

/* Returns room for n more bytes, n > 0, as bytes_reserve does. */
static inline char *json_out_reserve(struct bytes *out, size_t n)
{
    if (out->cap - out->n >= n)
        return out->p + out->n;
    return bytes_reserve(out, n);
}

static inline void json_out_char(struct bytes *out, char c)
{
    *json_out_reserve(out, 1) = c;
    out->n++;
}

/* Adds the n bytes at p, n > 0. */
static inline void json_out_add(struct bytes *out, const void *p, size_t n)
{
    memcpy(json_out_reserve(out, n), p, n);
    out->n += n;
}

/* Adds the text of word, which may be empty. */
static inline void json_out_word(struct bytes *out, const char *word)
{
    if (*word != 0)
        json_out_add(out, word, strlen(word));
}

#endif
