#include "base/charset.h"

#include "test.h"

static struct bytes out;

/* The text as UTF-8, or "malformed". */
static struct str decode(const char *name, struct str text)
{
    bytes_clear(&out);
    if (!charset_decode(charset_of(str_of(name)), text, &out))
        return STR("malformed");
    return (struct str){out.n ? out.p : "", out.n};
}

#define DECODE(name, literal) decode(name, STR(literal))

static void knows_names(void)
{
    CHECK_INT(charset_of(STR("UTF-8")), CHARSET_UTF8);
    CHECK_INT(charset_of(STR("Latin1")), CHARSET_LATIN1);
    CHECK_INT(charset_of(STR("koi8-r")), CHARSET_UNKNOWN);
    CHECK_INT(charset_of(STR("")), CHARSET_UNKNOWN);
}

static void decodes_single_bytes(void)
{
    CHECK_STR(DECODE("iso-8859-1", "a\xe4\xff\x80"),
              "a\xc3\xa4\xc3\xbf\xc2\x80");
    CHECK_STR(DECODE("us-ascii", "a~\x7f"), "a~\x7f");
    CHECK_STR(DECODE("us-ascii", "a\x80"), "malformed");
    CHECK_STR(DECODE("latin1", ""), "");
}

static void leaves_utf8_alone_but_its_mark(void)
{
    CHECK_STR(DECODE("utf8", "\xef\xbb\xbf\xc3\xa4"), "\xc3\xa4");
    CHECK_STR(DECODE("utf8", "\xff\xfe"), "\xff\xfe");
}

static void decodes_utf16(void)
{
    CHECK_STR(DECODE("utf-16le", "a\0\xac\x20\x3d\xd8\x00\xde"),
              "a\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK_STR(DECODE("utf-16be", "\0a\x20\xac\xd8\x3d\xde\x00"),
              "a\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK_STR(DECODE("utf-16", "\xfe\xff\0a"), "a");
    CHECK_STR(DECODE("utf-16", "\xff\xfe\x61\0"), "a");
    CHECK_STR(DECODE("utf-16", "a\0\xe4\0"), "a\xc3\xa4");
}

static void refuses_malformed_utf16(void)
{
    CHECK_STR(DECODE("utf-16le", "a"), "malformed");
    CHECK_STR(DECODE("utf-16le", "\x3d\xd8"), "malformed");
    CHECK_STR(DECODE("utf-16le", "\x3d\xd8\x61\0"), "malformed");
    CHECK_STR(DECODE("utf-16le", "\x00\xde"), "malformed");
}

int main(void)
{
    bytes_init(&out);
    RUN(knows_names);
    RUN(decodes_single_bytes);
    RUN(leaves_utf8_alone_but_its_mark);
    RUN(decodes_utf16);
    RUN(refuses_malformed_utf16);
    bytes_clear(&out);
    return test_finish();
}
