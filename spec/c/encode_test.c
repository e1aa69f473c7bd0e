/* Text encodings: the vectors of the RFCs, every byte there and back, and what
 * is malformed. */
#include "base/encode.h"

#include "test.h"

static char out[4096];

static struct str decimal(uint64_t n)
{
    return (struct str){out, encode_decimal(n, out)};
}

static struct str hex_number(uint64_t n)
{
    return (struct str){out, encode_hex_number(n, out)};
}

static void writes_decimals(void)
{
    CHECK_STR(decimal(0), "0");
    CHECK_STR(decimal(9), "9");
    CHECK_STR(decimal(10), "10");
    CHECK_STR(decimal(1234567890), "1234567890");
    CHECK_STR(decimal(UINT64_MAX), "18446744073709551615");
}

static void writes_hex_numbers(void)
{
    CHECK_STR(hex_number(0), "0");
    CHECK_STR(hex_number(15), "f");
    CHECK_STR(hex_number(16), "10");
    CHECK_STR(hex_number(0x1000), "1000");
    CHECK_STR(hex_number(UINT64_MAX), "ffffffffffffffff");
}

static void writes_and_reads_hex(void)
{
    unsigned char bytes[256], back[256];

    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    encode_hex(bytes, sizeof bytes, out);
    CHECK(memcmp(out, "000102", 6) == 0 && memcmp(out + 508, "feff", 4) == 0);
    CHECK_INT(encode_unhex(out, 512, back), 256);
    CHECK(memcmp(bytes, back, sizeof back) == 0);
    CHECK_INT(encode_unhex("aBCd", 4, back), 2);
    CHECK(back[0] == 0xab && back[1] == 0xcd);
    CHECK_INT(encode_unhex("", 0, back), 0);
}

static void refuses_bad_hex(void)
{
    char back[8];

    CHECK_INT(encode_unhex("abc", 3, back), -1);
    CHECK_INT(encode_unhex("0g", 2, back), -1);
    CHECK_INT(encode_unhex("g0", 2, back), -1);
    CHECK_INT(encode_unhex("0\0", 2, back), -1);
    CHECK_INT(encode_unhex("\xffz", 2, back), -1);
    CHECK_INT(encode_hex_value('F'), 15);
    CHECK_INT(encode_hex_value('0'), 0);
    CHECK_INT(encode_hex_value('\xe9'), -1);
    CHECK_INT(encode_hex_value('@'), -1);
}

static struct str base64(struct str s)
{
    return (struct str){out, encode_base64(s.p, s.n, out)};
}

static struct str base64url(struct str s)
{
    return (struct str){out, encode_base64url(s.p, s.n, out)};
}

/* RFC 4648 10. */
static void writes_base64(void)
{
    CHECK_STR(base64(STR("")), "");
    CHECK_STR(base64(STR("f")), "Zg==");
    CHECK_STR(base64(STR("fo")), "Zm8=");
    CHECK_STR(base64(STR("foo")), "Zm9v");
    CHECK_STR(base64(STR("foob")), "Zm9vYg==");
    CHECK_STR(base64(STR("fooba")), "Zm9vYmE=");
    CHECK_STR(base64(STR("foobar")), "Zm9vYmFy");
    CHECK_STR(base64(STR("\xfb\xff\xfe")), "+//+");
    CHECK_STR(base64url(STR("\xfb\xff\xfe")), "-__-");
    CHECK_STR(base64url(STR("f")), "Zg");
    CHECK_STR(base64url(STR("fo")), "Zm8");
}

static struct str unbase64(struct str s)
{
    ssize_t n = encode_unbase64(s.p, s.n, out);

    return n < 0 ? STR("malformed") : (struct str){out, (size_t)n};
}

static void reads_base64_of_both_kinds(void)
{
    CHECK_STR(unbase64(STR("")), "");
    CHECK_STR(unbase64(STR("Zg==")), "f");
    CHECK_STR(unbase64(STR("Zg")), "f");
    CHECK_STR(unbase64(STR("Zm8=")), "fo");
    CHECK_STR(unbase64(STR("Zm8")), "fo");
    CHECK_STR(unbase64(STR("Zm9vYmFy")), "foobar");
    CHECK_STR(unbase64(STR("+//+")), "\xfb\xff\xfe");
    CHECK_STR(unbase64(STR("-__-")), "\xfb\xff\xfe");
    /* The key of RFC 6455 1.3 has stray bits in its last character. */
    CHECK_INT(encode_unbase64("AQIDBAUGBwgJCgsMDQ4PEC==", 24, out), 16);
    CHECK_INT(out[15], 16);
}

static void refuses_bad_base64(void)
{
    static const char *const bad[] = {
        "Z",        "Zg=",   "=",       "==",    "====",   "Z===",
        "Zg===",    "Zm9v=", "Zm9v==",  "Zm 9v", "Zm9v\n", "Zm.v",
        "Zg==Zg==", "Z=g=",  "\xe9zaa", "Zm9vY", "Zm8=="};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STR(unbase64(str_of(bad[i])), "malformed");
}

static void returns_every_base64_length(void)
{
    unsigned char bytes[100], back[102];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t length = encode_base64(bytes, n, out);

        CHECK_INT(length, (n + 2) / 3 * 4);
        CHECK_INT(encode_unbase64(out, length, back), n);
        CHECK(memcmp(bytes, back, n) == 0);
        length = encode_base64url(bytes, n, out);
        CHECK_INT(encode_unbase64(out, length, back), n);
        CHECK(memcmp(bytes, back, n) == 0);
    }
}

static struct str unpercent(struct str s, int plus)
{
    ssize_t n = encode_unpercent(s.p, s.n, out, plus);

    return n < 0 ? STR("malformed") : (struct str){out, (size_t)n};
}

static void decodes_percent(void)
{
    CHECK_STR(unpercent(STR("a%20b%C3%a9+"), 0), "a b\xc3\xa9+");
    CHECK_STR(unpercent(STR("a+b%2B"), 1), "a b+");
    CHECK_STR(unpercent(STR("%00"), 0), "\0");
    CHECK_STR(unpercent(STR("%2541"), 0), "%41"); /* once */
    CHECK_STR(unpercent(STR("%"), 0), "malformed");
    CHECK_STR(unpercent(STR("%4"), 0), "malformed");
    CHECK_STR(unpercent(STR("a%4g"), 0), "malformed");
    CHECK_STR(unpercent(STR("%%41"), 0), "malformed");
}

static void decodes_percent_in_place(void)
{
    char text[] = "%61%62c";

    CHECK_INT(encode_unpercent(text, 7, text, 0), 3);
    CHECK(memcmp(text, "abc", 3) == 0);
}

static void encodes_percent(void)
{
    struct str s = {out, encode_percent("aZ09-._~", 8, out)};

    CHECK_STR(s, "aZ09-._~");
    s.n = encode_percent(" /?\xc3\xff\0!*'()", 11, out);
    CHECK_STR(s, "%20%2F%3F%C3%FF%00%21%2A%27%28%29");
    s.n = encode_percent("", 0, out);
    CHECK_STR(s, "");
}

static void returns_every_byte_through_percent(void)
{
    char bytes[256], back[768];

    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    size_t n = encode_percent(bytes, sizeof bytes, out);
    CHECK_INT(n, 66 + 3 * (256 - 66));
    CHECK_INT(encode_unpercent(out, n, back, 1), 256);
    CHECK(memcmp(bytes, back, 256) == 0);
}

int main(void)
{
    RUN(writes_decimals);
    RUN(writes_hex_numbers);
    RUN(writes_and_reads_hex);
    RUN(refuses_bad_hex);
    RUN(writes_base64);
    RUN(reads_base64_of_both_kinds);
    RUN(refuses_bad_base64);
    RUN(returns_every_base64_length);
    RUN(decodes_percent);
    RUN(decodes_percent_in_place);
    RUN(encodes_percent);
    RUN(returns_every_byte_through_percent);
    return test_finish();
}
