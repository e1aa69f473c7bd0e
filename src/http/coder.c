/* Each library wants its input and output pointers in structs of its own, and
 * is called until it has nothing more to say. Contexts of gzip and zstd are
 * large and slow to make, so one of each is kept for the next stream. What they
 * return as errors can only be wrong use, or no memory. */
#include "http/coder.h"

#include <assert.h>
#include <brotli/encode.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum {
    STEP = 16 * 1024,      /* bytes of output that room is made for at a time */
    BROTLI_WINDOW = 18,    /* as a power of two: 256 KiB */
    GZIP_WINDOW = 15 + 16, /* + 16: gzip's head and checksum, not zlib's */
    GZIP_MEMORY = 8
};

struct coder {
    enum coding coding;
    int level;
    union {
        z_stream gzip;
        BrotliEncoderState *brotli;
        ZSTD_CCtx *zstd;
    };
};

static struct coder *kept[CODINGS]; /* at the default level */

static const struct {
    struct str name;
    int level, most;
} codings[CODINGS] = {
    [CODING_NONE] = {{"identity", 8}, 0, 0},
    [CODING_ZSTD] = {{"zstd", 4}, 3, 22},
    [CODING_BROTLI] = {{"br", 2}, 4, 11},
    [CODING_GZIP] = {{"gzip", 4}, 6, 9},
};

struct str coder_name(enum coding coding)
{
    return codings[coding].name;
}

enum coding coder_named(struct str name)
{
    int coding;

    for (coding = CODING_NONE + 1; coding < CODINGS; coding++)
        if (str_ieq(name, codings[coding].name))
            return (enum coding)coding;
    return str_ieq(name, STR("x-gzip")) ? CODING_GZIP : CODING_NONE;
}

static bool start_gzip(struct coder *coder)
{
    memset(&coder->gzip, 0, sizeof coder->gzip);
    return deflateInit2(&coder->gzip, coder->level, Z_DEFLATED, GZIP_WINDOW,
                        GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool start_brotli(struct coder *coder)
{
    coder->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    return coder->brotli != NULL &&
           BrotliEncoderSetParameter(coder->brotli, BROTLI_PARAM_QUALITY,
                                     (uint32_t)coder->level) &&
           BrotliEncoderSetParameter(coder->brotli, BROTLI_PARAM_LGWIN,
                                     BROTLI_WINDOW);
}

static bool start_zstd(struct coder *coder)
{
    coder->zstd = ZSTD_createCCtx();
    return coder->zstd != NULL &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(
               coder->zstd, ZSTD_c_compressionLevel, coder->level));
}

static struct coder *make(enum coding coding, int level)
{
    struct coder *coder = mem_alloc(sizeof *coder);
    bool started;

    coder->coding = coding;
    coder->level = level;
    started = coding == CODING_GZIP     ? start_gzip(coder)
              : coding == CODING_BROTLI ? start_brotli(coder)
                                        : start_zstd(coder);
    return mem_checked(started ? coder : NULL);
}

struct coder *coder_new(enum coding coding, int level, int64_t size)
{
    struct coder *coder = kept[coding];

    assert(coding > CODING_NONE && coding < CODINGS);
    if (level == 0)
        level = codings[coding].level;
    if (level > codings[coding].most)
        level = codings[coding].most;
    if (coder != NULL && coder->level == level)
        kept[coding] = NULL;
    else
        coder = make(coding, level);
    if (size >= 0 && coding == CODING_ZSTD)
        ZSTD_CCtx_setPledgedSrcSize(coder->zstd, (uint64_t)size);
    if (size >= 0 && size < INT32_MAX && coding == CODING_BROTLI)
        BrotliEncoderSetParameter(coder->brotli, BROTLI_PARAM_SIZE_HINT,
                                  (uint32_t)size);
    return coder;
}

static void dispose(struct coder *coder)
{
    switch (coder->coding) {
    case CODING_GZIP:
        deflateEnd(&coder->gzip);
        break;
    case CODING_BROTLI:
        BrotliEncoderDestroyInstance(coder->brotli);
        break;
    default:
        ZSTD_freeCCtx(coder->zstd);
    }
    mem_free(coder);
}

void coder_free(struct coder *coder)
{
    if (coder == NULL)
        return;
    if (coder->coding == CODING_BROTLI || kept[coder->coding] != NULL ||
        coder->level != codings[coder->coding].level) {
        dispose(coder);
        return;
    }
    if (coder->coding == CODING_GZIP)
        deflateReset(&coder->gzip);
    else
        ZSTD_CCtx_reset(coder->zstd, ZSTD_reset_session_only);
    kept[coder->coding] = coder;
}

static void run_gzip(z_stream *stream, const char *p, size_t n,
                     enum coder_until until, struct bytes *out)
{
    static const int flush[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};

    stream->next_in = (unsigned char *)(uintptr_t)p;
    do {
        uInt part = n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)n;

        stream->avail_in = part;
        n -= part;
        do {
            stream->next_out = (unsigned char *)bytes_reserve(out, STEP);
            stream->avail_out = STEP;
            deflate(stream, n > 0 ? Z_NO_FLUSH : flush[until]);
            bytes_commit(out, STEP - stream->avail_out);
        } while (stream->avail_out == 0);
    } while (n > 0);
}

static void run_brotli(BrotliEncoderState *state, const char *p, size_t n,
                       enum coder_until until, struct bytes *out)
{
    static const BrotliEncoderOperation operation[] = {BROTLI_OPERATION_PROCESS,
                                                       BROTLI_OPERATION_FLUSH,
                                                       BROTLI_OPERATION_FINISH};
    const uint8_t *in = (const uint8_t *)p;

    do {
        uint8_t *to = (uint8_t *)bytes_reserve(out, STEP);
        size_t room = STEP;

        mem_checked(BrotliEncoderCompressStream(state, operation[until], &n,
                                                &in, &room, &to, NULL)
                        ? state
                        : NULL);
        bytes_commit(out, STEP - room);
    } while (n > 0 || BrotliEncoderHasMoreOutput(state));
}

static void run_zstd(ZSTD_CCtx *context, const char *p, size_t n,
                     enum coder_until until, struct bytes *out)
{
    static const ZSTD_EndDirective directive[] = {ZSTD_e_continue, ZSTD_e_flush,
                                                  ZSTD_e_end};
    ZSTD_inBuffer in = {p, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer to = {bytes_reserve(out, STEP), STEP, 0};

        left = ZSTD_compressStream2(context, &to, &in, directive[until]);
        mem_checked(ZSTD_isError(left) ? NULL : context);
        bytes_commit(out, to.pos);
    } while (until == CODER_MORE ? in.pos < in.size : left > 0);
}

void coder_run(struct coder *coder, const char *p, size_t n,
               enum coder_until until, struct bytes *out)
{
    switch (coder->coding) {
    case CODING_GZIP:
        run_gzip(&coder->gzip, p, n, until, out);
        break;
    case CODING_BROTLI:
        run_brotli(coder->brotli, p, n, until, out);
        break;
    default:
        run_zstd(coder->zstd, p, n, until, out);
    }
}
