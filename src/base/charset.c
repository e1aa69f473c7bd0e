/* Malformed text is refused, not mended: what a program stores should be what
 * the client has sent. */
#include "base/charset.h"

#include <stdint.h>

static const struct {
    struct str name;
    enum charset charset;
} names[] = {
    {{"utf-8", 5}, CHARSET_UTF8},         {{"utf8", 4}, CHARSET_UTF8},
    {{"us-ascii", 8}, CHARSET_ASCII},     {{"ascii", 5}, CHARSET_ASCII},
    {{"iso-8859-1", 10}, CHARSET_LATIN1}, {{"latin1", 6}, CHARSET_LATIN1},
    {{"iso8859-1", 9}, CHARSET_LATIN1},   {{"utf-16", 6}, CHARSET_UTF16},
    {{"utf-16le", 8}, CHARSET_UTF16LE},   {{"utf-16be", 8}, CHARSET_UTF16BE},
};

enum charset charset_of(struct str name)
{
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(name, names[i].name))
            return names[i].charset;
    return CHARSET_UNKNOWN;
}

enum charset charset_marked(struct str text)
{
    if (str_starts(text, STR("\xef\xbb\xbf")))
        return CHARSET_UTF8;
    if (str_starts(text, STR("\xff\xfe")))
        return CHARSET_UTF16LE;
    if (str_starts(text, STR("\xfe\xff")))
        return CHARSET_UTF16BE;
    return CHARSET_UNKNOWN;
}

static char *put(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

static bool decode_bytes(struct str text, uint32_t most, struct bytes *out)
{
    char *start = bytes_reserve(out, text.n * 2), *p = start;
    size_t i;

    for (i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] > most)
            return false;
        p = put(p, (unsigned char)text.p[i]);
    }
    bytes_commit(out, (size_t)(p - start));
    return true;
}

static uint32_t unit_at(struct str text, size_t i, bool is_big)
{
    unsigned a = (unsigned char)text.p[i], b = (unsigned char)text.p[i + 1];

    return is_big ? a << 8 | b : b << 8 | a;
}

/* RFC 2781 2.2 */
static bool decode_utf16(struct str text, bool is_big, struct bytes *out)
{
    char *start = bytes_reserve(out, text.n / 2 * 3 + 1), *p = start;
    size_t i;

    if (text.n % 2 != 0)
        return false;
    for (i = 0; i < text.n; i += 2) {
        uint32_t c = unit_at(text, i, is_big), low;

        if (c >= 0xdc00 && c <= 0xdfff)
            return false;
        if (c >= 0xd800 && c <= 0xdbff) {
            i += 2;
            low = i < text.n ? unit_at(text, i, is_big) : 0;
            if (low < 0xdc00 || low > 0xdfff)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
        p = put(p, c);
    }
    bytes_commit(out, (size_t)(p - start));
    return true;
}

bool charset_decode(enum charset charset, struct str text, struct bytes *out)
{
    enum charset marked = charset_marked(text);

    if (charset == CHARSET_UTF16)
        charset = marked == CHARSET_UTF16BE ? marked : CHARSET_UTF16LE;
    if (charset == marked)
        text = str_skip(text, charset == CHARSET_UTF8 ? 3 : 2);
    switch (charset) {
    case CHARSET_UTF8:
        bytes_append(out, text.p, text.n);
        return true;
    case CHARSET_ASCII:
        return decode_bytes(text, 0x7f, out);
    case CHARSET_LATIN1:
        return decode_bytes(text, 0xff, out);
    case CHARSET_UTF16LE:
    case CHARSET_UTF16BE:
        return decode_utf16(text, charset == CHARSET_UTF16BE, out);
    default:
        return false;
    }
}
