/* Content codings (RFC 9110 8.4.1) as streams: bytes in, coded bytes out. One
 * shape over zlib, libbrotli and libzstd; used by http/compress. */
#ifndef HTTP_CODER_H
#define HTTP_CODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/str.h"

enum coding { CODING_NONE, CODING_ZSTD, CODING_BROTLI, CODING_GZIP, CODINGS };

struct coder;

/* The name of a coding as Accept-Encoding has it. */
struct str coder_name(enum coding coding);

/* The coding of that name, whatever its case, or CODING_NONE. */
enum coding coder_named(struct str name);

/* A coder for one stream, which the caller owns; level 0 is the default one
 * (zstd 3, brotli 4, gzip 6), one over its highest is that one. size: the bytes
 * that will come, -1 where it is not known. */
struct coder *coder_new(enum coding coding, int level, int64_t size);

/* Frees it, complete or not; NULL is ignored. */
void coder_free(struct coder *coder);

/* What has to come out, at least. */
enum coder_until { CODER_MORE, CODER_FLUSH, CODER_END };

/* Codes the n bytes at p; adds what comes of them to out: nothing in particular
 * (MORE), all that was given so far (FLUSH), or the end of the stream. */
void coder_run(struct coder *coder, const char *p, size_t n,
               enum coder_until until, struct bytes *out);

#endif
