/* Slices: comparing, trimming and cutting, with empty and NULL ones. */
#include "base/str.h"

#include "test.h"

static const struct str none = {NULL, 0};

static void compares_bytes(void)
{
    CHECK(str_eq(STR("abc"), str_of("abc")));
    CHECK(!str_eq(STR("abc"), STR("abd")));
    CHECK(!str_eq(STR("abc"), STR("abcd")));
    CHECK(str_eq(STR("a\0b"), STR("a\0b")));
    CHECK(!str_eq(STR("a\0b"), STR("a\0c")));
    CHECK(str_eq(none, STR("")));
}

static void compares_without_case(void)
{
    CHECK(str_ieq(STR("Content-Length"), STR("content-lengtH")));
    CHECK(!str_ieq(STR("a"), STR("b")));
    CHECK(!str_ieq(STR("a"), STR("aa")));
    CHECK(str_ieq(none, STR("")));
}

static void knows_prefixes(void)
{
    CHECK(str_starts(STR("http://"), STR("http:")));
    CHECK(str_starts(STR("x"), STR("")));
    CHECK(!str_starts(STR("ht"), STR("http:")));
    CHECK(!str_starts(STR("HTTP:"), STR("http:")));
}

static void skips_and_trims(void)
{
    CHECK_STR(str_skip(STR("abc"), 1), "bc");
    CHECK_STR(str_skip(STR("abc"), 3), "");
    CHECK_STR(str_trim(STR(" \t a b\t ")), "a b");
    CHECK_STR(str_trim(STR("\t ")), "");
    CHECK_STR(str_trim(STR("\r\nx")), "\r\nx");
    CHECK_STR(str_trim(none), "");
}

static void cuts_at_separators(void)
{
    struct str rest = STR("a;b;;c");

    CHECK_STR(str_cut(&rest, ';'), "a");
    CHECK_STR(str_cut(&rest, ';'), "b");
    CHECK_STR(str_cut(&rest, ';'), "");
    CHECK_STR(str_cut(&rest, ';'), "c");
    CHECK(rest.p == NULL && rest.n == 0);
    CHECK_STR(str_cut(&rest, ';'), "");
    CHECK(rest.p == NULL);
}

static void tells_an_empty_rest_from_none(void)
{
    struct str rest = STR("a=");

    CHECK_STR(str_cut(&rest, '='), "a");
    CHECK(rest.p != NULL && rest.n == 0);
    rest = STR("a");
    CHECK_STR(str_cut(&rest, '='), "a");
    CHECK(rest.p == NULL);
}

int main(void)
{
    RUN(compares_bytes);
    RUN(compares_without_case);
    RUN(knows_prefixes);
    RUN(skips_and_trims);
    RUN(cuts_at_separators);
    RUN(tells_an_empty_rest_from_none);
    return test_finish();
}
