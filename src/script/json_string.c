/* Almost all strings are plain: ASCII without anything to escape. These are
 * found out eight bytes at a time, and copied as they are looked at; the others
 * pay for what is special in them, run by run. */
#include "script/json_string.h"

#include "base/encode.h"
#include "script/json_out.h"
#include "script/json_text.h"

enum {
    LONGEST = 6, /* bytes that stand for one: an escape */
    SPARE = 64   /* bytes more than a string has, for its escapes */
};

/* ---- Writing ---- */

/* Copies the n bytes at p, 4 to 8, in two overlapping halves; false where not
 * all are plain. */
static bool copy_short(char *out, const char *p, size_t n)
{
    uint32_t head, tail;

    memcpy(&head, p, 4);
    memcpy(&tail, p + n - 4, 4);
    memcpy(out, &head, 4);
    memcpy(out + n - 4, &tail, 4);
    return json_text_are_plain((uint64_t)head << 32 | tail);
}

/* Copies the n bytes at p where all are plain; else returns false, and what is
 * at out does not matter. The last 8 overlap those before. */
static bool copy_plain(char *out, const char *p, size_t n)
{
    uint64_t eight;

    if (n < 4) {
        for (; n > 0 && json_text_is_plain(*p); n--)
            *out++ = *p++;
        return n == 0;
    }
    if (n < 8)
        return copy_short(out, p, n);
    for (size_t i = 0;; i = n - i < 16 ? n - 8 : i + 8) {
        memcpy(&eight, p + i, 8);
        if (!json_text_are_plain(eight))
            return false;
        memcpy(out + i, &eight, 8);
        if (i == n - 8)
            return true;
    }
}

/* Writes the escape of an ASCII character, at most 6 bytes. */
static char *put_escape(char *out, char c)
{
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    unsigned char u = (unsigned char)c;

    *out++ = '\\';
    if (u >= 0x20) {
        *out++ = c;
    } else if (letters[u]) {
        *out++ = letters[u];
    } else {
        memcpy(out, "u00", 3);
        out[3] = (char)('0' + (u >> 4));
        out[4] = "0123456789abcdef"[u & 15];
        out += 5;
    }
    return out;
}

/* Copies the character that begins at *p, which is not ASCII; what is not UTF-8
 * becomes U+FFFD. Writes at most 4 bytes. */
static char *put_character(char *out, const char **p, const char *end)
{
    int n = json_text_sequence(*p, end);

    if (n < 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        *p -= n;
        return out + 3;
    }
    while (n-- > 0)
        *out++ = *(*p)++;
    return out;
}

/* Copies the plain bytes that begin at *p to out, which has room for all up to
 * end, and moves *p behind them; returns their end there. */
static char *copy_run(char *out, const char **p, const char *end)
{
    const char *from = *p;
    uint64_t eight;

    for (; end - from >= 8; from += 8, out += 8) {
        memcpy(&eight, from, 8);
        if (!json_text_are_plain(eight))
            break;
        memcpy(out, &eight, 8);
    }
    while (from < end && json_text_is_plain(*from))
        *out++ = *from++;
    *p = from;
    return out;
}

/* Writes what a string from p to end that is not all plain says, and its quote.
 * There is always room for the rest as it is, the quote, and one escape; only
 * what is written longer than it was uses that up. */
static void put_mixed(struct bytes *out, const char *p, const char *end)
{
    char *at = NULL, *limit = NULL; /* of that room, without the escape */

    for (;;) {
        if (at == NULL || limit - at < end - p) {
            if (at != NULL)
                out->n = (size_t)(at - out->p);
            at = json_out_reserve(out, (size_t)(end - p) + SPARE);
            limit = out->p + out->cap - LONGEST - 1;
        }
        at = copy_run(at, &p, end);
        if (p == end)
            break;
        at = (unsigned char)*p < 0x80 ? put_escape(at, *p++)
                                      : put_character(at, &p, end);
    }
    *at++ = '"';
    out->n = (size_t)(at - out->p);
}

void json_string_write(struct bytes *out, const char *p, size_t n)
{
    char *at = json_out_reserve(out, n + 2);

    *at = '"';
    if (copy_plain(at + 1, p, n)) {
        at[n + 1] = '"';
        out->n += n + 2;
    } else {
        out->n++;
        put_mixed(out, p, p + n);
    }
}

/* ---- Reading ---- */

/* Reads four hex digits at p; -1 where there are none. */
static int read_hex(const char *p, const char *end)
{
    int code = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = encode_hex_value(p[i]);

        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

static char *put_utf8(char *out, unsigned int code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* Resolves the \u escape whose digits begin at *p, together with the second
 * half of a pair, and moves *p behind it. */
static char *put_unicode(char *out, const char **p, const char *end)
{
    int code = read_hex(*p, end), low;

    *p += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
        bool pairs =
            code < 0xdc00 && end - *p >= 6 && memcmp(*p, "\\u", 2) == 0;

        low = pairs ? read_hex(*p + 2, end) : -1;
        if (low >= 0xdc00 && low <= 0xdfff) {
            *p += 6;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        } else {
            code = 0xfffd;
        }
    }
    return put_utf8(out, (unsigned int)code);
}

/* What the letter of a two-character escape stands for. */
static char unescape_letter(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

size_t json_string_unescape(const char *p, const char *end, char *out)
{
    const char *start = out;

    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        p += 2;
        if (p[-1] == 'u')
            out = put_unicode(out, &p, end);
        else
            *out++ = unescape_letter(p[-1]);
    }
    return (size_t)(out - start);
}

/* The length of the escape at p, or 0 where it is none; then *problem says why.
 */
static size_t escape_length(const char *p, const char *end,
                            const char **problem)
{
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        *problem = "expected four hex digits after \\u";
        return read_hex(p + 2, end) >= 0 ? 6 : 0;
    default:
        *problem = "this escape is unknown";
        return 0;
    }
}

/* The length of what begins at p and is no plain byte nor the quote, or 0 where
 * it is not valid; then *problem says why. */
static size_t special_length(const char *p, const char *end,
                             const char **problem)
{
    int n;

    if (*p == '\\')
        return escape_length(p, end, problem);
    if ((unsigned char)*p >= 0x80) {
        *problem = "this is not UTF-8";
        n = json_text_sequence(p, end);
        return n > 0 ? (size_t)n : 0;
    }
    *problem =
        p == end ? "expected '\"'" : "a control character must be escaped";
    return 0;
}

const char *json_string_scan(const char *p, const char *end, bool *escaped,
                             const char **at, const char **problem)
{
    for (;;) {
        size_t n;

        p = json_text_skip_plain(p, end);
        if (*p == '"')
            return p;
        n = special_length(p, end, problem);
        if (n == 0) {
            *at = p;
            return NULL;
        }
        *escaped |= *p == '\\';
        p += n;
    }
}
