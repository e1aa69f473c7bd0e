/* "deflate" is zlib's format (RFC 9110 8.4.1.2), but some clients send the bare
 * stream: the first two bytes tell. gzip and zstd may have several members, one
 * behind the other (RFC 1952 2.2, RFC 8878 3); brotli has one. zstd's window is
 * limited to what RFC 9659 has every decoder support. */
#include "http/decoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum {
    GZIP_WINDOW = 15 + 16,
    ZLIB_WINDOW = 15,
    BARE_WINDOW = -15,
    ZSTD_WINDOW_LOG = 23 /* 8 MiB */
};

enum kind { GZIP, DEFLATE, BROTLI, ZSTD };

struct decoder {
    enum kind kind;
    bool started;  /* input has come */
    bool complete; /* a member has ended, and no other begun */
    union {
        z_stream zlib;
        BrotliDecoderState *brotli;
        ZSTD_DStream *zstd;
    };
};

static const struct {
    struct str name;
    enum kind kind;
} names[] = {
    {{"gzip", 4}, GZIP}, {{"x-gzip", 6}, GZIP}, {{"deflate", 7}, DEFLATE},
    {{"br", 2}, BROTLI}, {{"zstd", 4}, ZSTD},
};

static struct decoder *make(enum kind kind)
{
    struct decoder *decoder = mem_zalloc(sizeof *decoder);

    decoder->kind = kind;
    if (kind == BROTLI) {
        decoder->brotli =
            mem_checked(BrotliDecoderCreateInstance(NULL, NULL, NULL));
    } else if (kind == ZSTD) {
        decoder->zstd = mem_checked(ZSTD_createDStream());
        ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax,
                               ZSTD_WINDOW_LOG);
    } else {
        int window = kind == GZIP ? GZIP_WINDOW : ZLIB_WINDOW;

        mem_checked(inflateInit2(&decoder->zlib, window) == Z_OK ? decoder
                                                                 : NULL);
    }
    return decoder;
}

struct decoder *decoder_new(struct str name)
{
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(name, names[i].name))
            return make(names[i].kind);
    return NULL;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    if (decoder->kind == BROTLI)
        BrotliDecoderDestroyInstance(decoder->brotli);
    else if (decoder->kind == ZSTD)
        ZSTD_freeDStream(decoder->zstd);
    else
        inflateEnd(&decoder->zlib);
    mem_free(decoder);
}

/* The first byte of a stream by zlib has 8 in its low half and a window of at
 * most 32 KiB in the other (RFC 1950 2.2). A bare one cannot begin like that
 * but with a stored block whose padding is not zero. */
static void choose_window(struct decoder *decoder, unsigned char first)
{
    if (decoder->kind == DEFLATE && ((first & 15) != 8 || first >> 4 > 7))
        inflateReset2(&decoder->zlib, BARE_WINDOW);
}

static enum decoded run_zlib(struct decoder *decoder, struct str *in, char *out,
                             size_t room, size_t *n)
{
    z_stream *z = &decoder->zlib;
    int result;

    if (decoder->complete && (decoder->kind != GZIP || inflateReset(z) != Z_OK))
        return DECODED_BAD; /* bytes behind the end */
    if (!decoder->started)
        choose_window(decoder, (unsigned char)*in->p);
    z->next_in = (unsigned char *)(uintptr_t)in->p;
    z->avail_in = (uInt)in->n;
    z->next_out = (unsigned char *)out;
    z->avail_out = (uInt)room;
    result = inflate(z, Z_NO_FLUSH);
    *in = str_skip(*in, in->n - z->avail_in);
    *n = room - z->avail_out;
    decoder->complete = result == Z_STREAM_END;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR
               ? DECODED_SOME
               : DECODED_BAD;
}

static enum decoded run_brotli(struct decoder *decoder, struct str *in,
                               char *out, size_t room, size_t *n)
{
    const uint8_t *from = (const uint8_t *)in->p;
    uint8_t *to = (uint8_t *)out;
    size_t left = room, n_in = in->n;
    BrotliDecoderResult result;

    if (decoder->complete)
        return DECODED_BAD;
    result = BrotliDecoderDecompressStream(decoder->brotli, &n_in, &from, &left,
                                           &to, NULL);
    *in = str_skip(*in, in->n - n_in);
    *n = room - left;
    decoder->complete = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result == BROTLI_DECODER_RESULT_ERROR ? DECODED_BAD : DECODED_SOME;
}

static enum decoded run_zstd(struct decoder *decoder, struct str *in, char *out,
                             size_t room, size_t *n)
{
    ZSTD_inBuffer from = {in->p, in->n, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t left = ZSTD_decompressStream(decoder->zstd, &to, &from);

    *in = str_skip(*in, from.pos);
    *n = to.pos;
    decoder->complete = left == 0;
    return ZSTD_isError(left) ? DECODED_BAD : DECODED_SOME;
}

static enum decoded run(struct decoder *decoder, struct str *in, char *out,
                        size_t room, size_t *n)
{
    if (decoder->kind == BROTLI)
        return run_brotli(decoder, in, out, room, n);
    if (decoder->kind == ZSTD)
        return run_zstd(decoder, in, out, room, n);
    return run_zlib(decoder, in, out, room, n);
}

/* What is left inside of a decoder comes out of a call without input, so that
 * one is made after the last input, too. */
enum decoded decoder_run(struct decoder *decoder, struct str *in, char *out,
                         size_t room, size_t *n)
{
    size_t before, step;

    *n = 0;
    if (in->n == 0 && (!decoder->started || decoder->complete))
        return DECODED_SOME;
    do {
        before = in->n;
        step = 0;
        if (run(decoder, in, out + *n, room - *n, &step) == DECODED_BAD)
            return DECODED_BAD;
        decoder->started = true;
        *n += step;
        if (step == 0 && in->n == before && in->n > 0 && *n < room)
            return DECODED_BAD; /* neither takes nor gives */
    } while (*n < room && in->n > 0);
    return DECODED_SOME;
}

bool decoder_complete(const struct decoder *decoder)
{
    return decoder->complete || !decoder->started;
}
