/* The Cookie header: well-formed, sloppy, and hostile. Each result is told as
 * "name=value|name=value|". */
#include "http/cookie.h"

#include "base/bytes.h"
#include "test.h"

static struct bytes found;

static struct str read_cookies(struct str header)
{
    struct pool pool;
    struct str name, value;

    pool_init(&pool);
    found.n = 0;
    while (cookie_next(&header, &pool, &name, &value)) {
        bytes_append(&found, name.p, name.n);
        bytes_append(&found, "=", 1);
        bytes_append(&found, value.p, value.n);
        bytes_append(&found, "|", 1);
    }
    pool_clear(&pool);
    return (struct str){found.p, found.n};
}

static void reads_cookies(void)
{
    CHECK_STR(read_cookies(STR("SID=31d4d96e407aad42; lang=en-US")),
              "SID=31d4d96e407aad42|lang=en-US|");
    CHECK_STR(read_cookies(STR("a=1")), "a=1|");
    CHECK_STR(read_cookies(STR("a=1; a=2")), "a=1|a=2|");
    CHECK_STR(read_cookies(STR("a=b=c; d==")), "a=b=c|d==|");
    CHECK_STR(read_cookies(STR("a=")), "a=|");
}

static void tolerates_white_space(void)
{
    CHECK_STR(read_cookies(STR("a=1;b=2;c=3")), "a=1|b=2|c=3|");
    CHECK_STR(read_cookies(STR(" a = 1 ;\t b\t=2  ")), "a=1|b=2|");
    CHECK_STR(read_cookies(STR("a=x y")), "a=x y|");
}

static void strips_quotes(void)
{
    CHECK_STR(read_cookies(STR("a=\"x\"; b=\"\"; c=\"; d=x\"; e=\"x")),
              "a=x|b=|c=\"|d=x\"|e=\"x|");
}

static void skips_garbage(void)
{
    CHECK_STR(read_cookies(STR("")), "");
    CHECK_STR(read_cookies((struct str){NULL, 0}), "");
    CHECK_STR(read_cookies(STR(";;; ;")), "");
    CHECK_STR(read_cookies(STR("garbage; a=1; =x; = ; b=2; more")), "a=1|b=2|");
}

static void decodes_values(void)
{
    CHECK_STR(read_cookies(STR("a=x%20y%C3%A9; b=\"%41\"")),
              "a=x y\xc3\xa9|b=A|");
    CHECK_STR(read_cookies(STR("a=100%; b=%4; c=%zz%41; d=1+1")),
              "a=100%|b=%4|c=%zz%41|d=1+1|");
    CHECK_STR(read_cookies(STR("a=%2541; %41=%00")), "a=%41|%41=\0|");
    CHECK_STR(read_cookies(STR("a=%3Bb%3D2")), "a=;b=2|");
}

int main(void)
{
    bytes_init(&found);
    RUN(reads_cookies);
    RUN(tolerates_white_space);
    RUN(strips_quotes);
    RUN(skips_garbage);
    RUN(decodes_values);
    bytes_clear(&found);
    return test_finish();
}
