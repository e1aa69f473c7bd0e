/* A body's Content-Encoding undone, piece by piece (RFC 9110 8.4.1): gzip,
 * deflate, brotli, zstd, by the libraries that coder.h writes with. The caller
 * says how much may come out of each call, so that a few bytes that stand for
 * gigabytes cost no more than it wants to take. Used by script/l_body.c. */
#ifndef HTTP_DECODER_H
#define HTTP_DECODER_H

#include <stdbool.h>

#include "base/str.h"

struct decoder;

enum decoded {
    DECODED_SOME, /* the room is full, or the input used up */
    DECODED_BAD   /* the input is malformed */
};

/* A decoder of the coding of that name, owned by the caller; NULL where there
 * is none. "x-gzip" is gzip. */
struct decoder *decoder_new(struct str name);

/* Frees decoder; NULL is ignored. */
void decoder_free(struct decoder *decoder);

/* Decodes from *in, which is shortened by what was used, to out, which has room
 * bytes; *n are filled. Where less than room is filled, in is empty. */
enum decoded decoder_run(struct decoder *decoder, struct str *in, char *out,
                         size_t room, size_t *n);

/* True where what has been decoded is complete. */
bool decoder_complete(const struct decoder *decoder);

/* The names of all, as a value of Accept-Encoding. */
#define DECODER_NAMES "gzip, deflate, br, zstd"

#endif
