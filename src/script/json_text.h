/* What reading and writing JSON strings share: finding the next byte that is
 * not plain, and the rules of UTF-8. Used by json_string.c and json_decode.c.
 * All functions are inline, because they run once or more for each string. */
#ifndef SCRIPT_JSON_TEXT_H
#define SCRIPT_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_TEXT_BYTES(b) (UINT64_C(0x0101010101010101) * (b))

/* What stands for itself in a JSON string and is one byte: ASCII but for
 * controls, '"' and '\' (RFC 8259 7). */
static const bool json_text_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7f] = true};

static inline bool json_text_is_plain(char c)
{
    return json_text_plain[(unsigned char)c];
}

/* True where all of eight bytes are plain. A byte that is not sets its top bit
 * in one of the four terms; borrows only reach bytes behind such a one. */
static inline bool json_text_are_plain(uint64_t eight)
{
    uint64_t quote = eight ^ JSON_TEXT_BYTES('"');
    uint64_t backslash = eight ^ JSON_TEXT_BYTES('\\');

    return ((eight | (eight - JSON_TEXT_BYTES(0x20)) |
             (quote - JSON_TEXT_BYTES(1)) | (backslash - JSON_TEXT_BYTES(1))) &
            JSON_TEXT_BYTES(0x80)) == 0;
}

/* The first byte from p that is not plain, or end. */
static inline const char *json_text_skip_plain(const char *p, const char *end)
{
    uint64_t eight;

    for (; end - p >= 8; p += 8) {
        memcpy(&eight, p, 8);
        if (!json_text_are_plain(eight))
            break;
    }
    while (p < end && json_text_is_plain(*p))
        p++;
    return p;
}

static inline bool json_text_continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* For a byte p[0] >= 0x80 before end: the length (2-4) of the well-formed UTF-8
 * sequence that it begins (RFC 3629 4: no overlong form, no surrogate, nothing
 * above U+10FFFF), else minus the count of bytes that one U+FFFD replaces,
 * which is the longest beginning of a sequence, as browsers and Node do it. */
static inline int json_text_sequence(const char *p, const char *end)
{
    unsigned char c = (unsigned char)p[0], second;

    if (c < 0xc2 || c > 0xf4 || end - p < 2 || !json_text_continues(p[1]))
        return -1;
    if (c < 0xe0)
        return 2;
    second = (unsigned char)p[1];
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
        return -1;
    if (end - p < 3 || !json_text_continues(p[2]))
        return -2;
    if (c < 0xf0)
        return 3;
    return end - p < 4 || !json_text_continues(p[3]) ? -3 : 4;
}

#endif
