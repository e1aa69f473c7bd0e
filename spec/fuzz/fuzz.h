/* What the fuzzers share. A fuzzer is one file, NAME_fuzz.c, with a function
 * that is given bytes and aborts where the code under test does not do what it
 * promises. "make fuzz" builds it with libFuzzer; NAME_test.c builds it with
 * replay.h instead, which runs the inputs that are kept.
 *
 * An input is text for the code under test, and behind it a script: bytes that
 * decide how the text is handed over. The last byte is the script's length, so
 * that changes to the text leave the script what it is. */
#ifndef SPEC_FUZZ_FUZZ_H
#define SPEC_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* libFuzzer's: runs one input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
    struct str text;
    const uint8_t *script;
    size_t left; /* of the script */
};

static inline void fuzz_fail(const char *why, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, why);
    abort();
}

#define FUZZ_CHECK(condition)                                                  \
    ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

/* Takes data apart. */
static inline struct fuzz_input fuzz_open(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {{(const char *)data, size}, NULL, 0};

    if (size == 0)
        return in;
    in.left = data[size - 1];
    if (in.left > size - 1)
        in.left = size - 1;
    in.text.n = size - 1 - in.left;
    in.script = data + in.text.n;
    return in;
}

/* The next byte of the script; 0 behind its end. */
static inline unsigned fuzz_take(struct fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->script++;
}

/* A copy of s on the heap, as long as it is, so that reading beyond it is
 * noticed. */
static inline char *fuzz_copy(struct str s)
{
    char *p = mem_alloc(s.n);

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

#endif
