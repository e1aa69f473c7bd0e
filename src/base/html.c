/* Most text holds nothing to escape, so eight bytes at a time are copied and
 * looked at afterwards; only a word with one of the five characters is gone
 * through byte by byte. */
#include "base/html.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    WORD = sizeof(uint64_t),
    LONGEST = 6,      /* "&quot;" */
    AT_A_TIME = 4096, /* bytes for whose worst case room is made */
};

static const char *const references[256] = {['&'] = "&amp;",
                                            ['<'] = "&lt;",
                                            ['>'] = "&gt;",
                                            ['"'] = "&quot;",
                                            ['\''] = "&#39;"};

#define EACH(byte) ((byte) * (UINT64_MAX / 255))

/* Not zero where a byte of word is zero; may be wrong above the first one. */
static uint64_t zeros(uint64_t word)
{
    return (word - EACH(0x01)) & ~word & EACH(0x80);
}

/* Whether one of the five is in word: & and ' differ in one bit, < and > too.
 */
static bool is_special(uint64_t word)
{
    return (zeros((word & EACH(0xfe)) ^ EACH('&')) |
            zeros((word & EACH(0xfd)) ^ EACH('<')) | zeros(word ^ EACH('"'))) !=
           0;
}

/* Writes the n bytes at p, escaped, to q; returns the end. */
static char *write_each(char *q, const char *p, size_t n)
{
    const char *reference;
    size_t i, length;

    for (i = 0; i < n; i++) {
        reference = references[(unsigned char)p[i]];
        if (reference == NULL) {
            *q++ = p[i];
            continue;
        }
        length = strlen(reference);
        memcpy(q, reference, length);
        q += length;
    }
    return q;
}

static char *write_words(char *q, const char *p, size_t n)
{
    uint64_t word;

    for (; n >= WORD; p += WORD, n -= WORD) {
        memcpy(&word, p, WORD);
        if (is_special(word)) {
            q = write_each(q, p, WORD);
            continue;
        }
        memcpy(q, &word, WORD);
        q += WORD;
    }
    return write_each(q, p, n);
}

void html_escape(struct bytes *out, const char *p, size_t n)
{
    char *start;
    size_t part;

    for (; n > 0; p += part, n -= part) {
        part = n < AT_A_TIME ? n : AT_A_TIME;
        start = bytes_reserve(out, part * LONGEST);
        bytes_commit(out, (size_t)(write_words(start, p, part) - start));
    }
}
