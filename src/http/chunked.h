/* The chunked transfer coding (RFC 9112 7.1), decoded as it arrives: bytes in,
 * slices of body out, then the trailer section. Strict: what is not in the
 * grammar is refused, and what surrounds the data is counted. Used by h1. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/str.h"
#include "http/headers.h"

enum chunked_result {
    CHUNKED_MORE, /* everything was used, more is to come */
    CHUNKED_DATA, /* *data is body */
    CHUNKED_END,  /* the body and its trailers are complete */
    CHUNKED_BAD   /* not chunked coding, or over the limit */
};

struct chunked {
    uint8_t state;
    uint8_t digits;    /* of the size so far */
    uint64_t size;     /* of this chunk, then what is left of it */
    uint64_t overhead; /* bytes so far that are not data */
    uint64_t max;      /* of overhead */
    struct bytes trailer;
};

/* Makes c ready for a body; max: bytes of size lines, extensions and trailers
 * that the whole message may have. */
void chunked_init(struct chunked *c, uint64_t max);

/* Frees what c holds. */
void chunked_clear(struct chunked *c);

/* Takes bytes from the front of *in and says what they were. *data borrows
 * from *in. */
enum chunked_result chunked_next(struct chunked *c, struct str *in,
                                 struct str *data);

/* After CHUNKED_END: adds the trailer fields to h, copied into pool. Returns 0,
 * or -1 where they are malformed, frame the message (RFC 9110 6.5.1), or are
 * more than max (0: any). */
int chunked_trailers(struct chunked *c, struct headers *h, struct pool *pool,
                     uint64_t max);

#endif
