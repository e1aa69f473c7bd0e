/* Content coding of responses: what middleware has offered (compress_offer) is
 * decided when the head is about to leave, by what the client accepts, the
 * type, the size and what the handler has set; then every piece of body goes
 * through a coder. Called by exchange.c, so that no codec and no handler knows
 * of it. */
#ifndef HTTP_COMPRESS_H
#define HTTP_COMPRESS_H

#include "http/coder.h"
#include "http/exchange.h"

struct compress_options {
    enum coding
        order[CODINGS]; /* those allowed, the best one first; then NONE */
    int level;          /* 0: each coding's own */
    int64_t threshold;  /* bytes: smaller bodies are left alone */
    struct str *types;  /* media types besides the usual ones */
    unsigned ntypes;
};

/* Has the response of x coded if it turns out that it should be. Copies
 * options. Does nothing where the head has left; a second offer replaces the
 * first. */
void compress_offer(struct exchange *x, const struct compress_options *options);

/* The head is about to leave: decides, and sets Content-Encoding, Vary and
 * ETag. length: of the body, -1 where it is not known. Once. */
void compress_decide(struct exchange *x, int64_t length);

/* Whether the body is coded. */
bool compress_codes(const struct exchange *x);

/* Replaces piece by what comes out of the coder for it; its own bytes are
 * released. */
void compress_piece(struct exchange *x, struct piece *piece,
                    enum coder_until until);

/* Whether bodies of that type are worth coding. */
bool compress_type(struct str type);

/* Lets go of what x holds for coding. */
void compress_drop(struct exchange *x);

#endif
