/* Everything works on whole bytes through small tables. Most inputs are short
 * (lengths, ids, cookies, digests), where a table lookup per byte beats what a
 * vector unit would need to get going. Tables that map characters to values
 * hold the value plus one, so that the zeros of all other characters mean "not
 * in the alphabet". */
#include "base/encode.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static const char base64_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const unsigned char hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
    ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
    ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* Both alphabets at once. */
static const unsigned char base64_values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,
    ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12,
    ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
    ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
    ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
    ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
    ['8'] = 61, ['9'] = 62, ['+'] = 63, ['-'] = 63, ['/'] = 64, ['_'] = 64};

/* RFC 3986 2.3. */
static const unsigned char unreserved[256] = {
    ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['0' ... '9'] = 1, ['-'] = 1,
    ['.'] = 1,         ['_'] = 1,         ['~'] = 1};

size_t encode_decimal(uint64_t n, char out[static ENCODE_DECIMAL_MAX])
{
    char digits[ENCODE_DECIMAL_MAX], *at = digits + sizeof digits;
    size_t count;

    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    count = (size_t)(digits + sizeof digits - at);
    memcpy(out, at, count);
    return count;
}

size_t encode_hex_number(uint64_t n, char out[static 16])
{
    size_t count = 1;

    while (count < 16 && n >> (4 * count) != 0)
        count++;
    for (size_t i = count; i-- > 0; n >>= 4)
        out[i] = hex_digits[n & 15];
    return count;
}

void encode_hex(const void *bytes, size_t n, char *out)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++) {
        *out++ = hex_digits[p[i] >> 4];
        *out++ = hex_digits[p[i] & 15];
    }
}

int encode_hex_value(char c)
{
    return hex_values[(unsigned char)c] - 1;
}

/* The byte written by the two hex digits at p, or -1. */
static int hex_pair(const char *p)
{
    int high = encode_hex_value(p[0]), low = encode_hex_value(p[1]);

    /* Either is -1 or 0-15, so the sign of their union tells. */
    return (high | low) < 0 ? -1 : high << 4 | low;
}

ssize_t encode_unhex(const char *text, size_t n, void *out)
{
    unsigned char *at = out;

    if (n % 2 != 0)
        return -1;
    for (size_t i = 0; i < n; i += 2) {
        int byte = hex_pair(text + i);

        if (byte < 0)
            return -1;
        *at++ = (unsigned char)byte;
    }
    return (ssize_t)(n / 2);
}

/* Encodes n bytes in the given alphabet, without padding; returns the end. */
static char *base64(const unsigned char *p, size_t n, char *out,
                    const char *alphabet)
{
    for (; n >= 3; n -= 3, p += 3) {
        unsigned int group = (unsigned int)(p[0] << 16 | p[1] << 8 | p[2]);

        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = alphabet[group >> 6 & 63];
        *out++ = alphabet[group & 63];
    }
    if (n > 0) {
        unsigned int group = (unsigned int)(p[0] << 8 | (n == 2 ? p[1] : 0));

        *out++ = alphabet[group >> 10];
        *out++ = alphabet[group >> 4 & 63];
        if (n == 2)
            *out++ = alphabet[group << 2 & 63];
    }
    return out;
}

size_t encode_base64(const void *bytes, size_t n, char *out)
{
    char *at = base64(bytes, n, out, base64_standard);

    while ((at - out) % 4 != 0)
        *at++ = '=';
    return (size_t)(at - out);
}

size_t encode_base64url(const void *bytes, size_t n, char *out)
{
    return (size_t)(base64(bytes, n, out, base64_url) - out);
}

/* The length of text without its padding, which is complete or missing; -1
 * where it is neither, or where one character is left over. */
static ssize_t unpadded(const char *text, size_t n)
{
    size_t bare = n;

    while (bare > 0 && n - bare < 2 && text[bare - 1] == '=')
        bare--;
    if ((bare < n && n % 4 != 0) || bare % 4 == 1)
        return -1;
    return (ssize_t)bare;
}

ssize_t encode_unbase64(const char *text, size_t n, void *out)
{
    unsigned char *at = out;
    ssize_t bare = unpadded(text, n);
    unsigned int bits = 0;

    if (bare < 0)
        return -1;
    for (ssize_t i = 0; i < bare; i++) {
        unsigned int value = base64_values[(unsigned char)text[i]];

        if (value == 0)
            return -1;
        bits = bits << 6 | (value - 1);
        /* Characters 1, 2 and 3 of each four complete a byte; what is left of
         * it in the bits of the last character is ignored, as RFC 4648 3.5
         * allows: RFC 6455 1.3 has such a key in its own example. */
        if (i % 4 != 0)
            *at++ = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    return at - (unsigned char *)out;
}

ssize_t encode_unpercent(const char *text, size_t n, char *out, int plus)
{
    const char *end = text + n;
    char *at = out;

    while (text < end) {
        char c = *text++;

        if (c == '%') {
            int byte = end - text < 2 ? -1 : hex_pair(text);

            if (byte < 0)
                return -1;
            c = (char)byte;
            text += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *at++ = c;
    }
    return at - out;
}

size_t encode_percent(const void *bytes, size_t n, char *out)
{
    const unsigned char *p = bytes;
    char *at = out;

    for (size_t i = 0; i < n; i++) {
        if (unreserved[p[i]]) {
            *at++ = (char)p[i];
            continue;
        }
        /* RFC 3986 2.1: producers should write upper-case digits. */
        *at++ = '%';
        *at++ = "0123456789ABCDEF"[p[i] >> 4];
        *at++ = "0123456789ABCDEF"[p[i] & 15];
    }
    return (size_t)(at - out);
}
