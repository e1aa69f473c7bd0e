/* Escaping for HTML: each of the five characters at every place of a word, all
 * other bytes, and texts longer than what is done at a time. */
#include "base/html.h"

#include <string.h>

#include "base/str.h"
#include "test.h"

static struct bytes out;

static struct str escaped(struct str text)
{
    out.n = 0;
    html_escape(&out, text.p, text.n);
    return (struct str){out.p, out.n};
}

static void escapes_the_five(void)
{
    CHECK_STR(escaped(STR("a&b<c>d\"e'f")), "a&amp;b&lt;c&gt;d&quot;e&#39;f");
    CHECK_STR(escaped(STR("<")), "&lt;");
    CHECK(escaped(STR("")).n == 0);
}

static void finds_them_at_every_place(void)
{
    static const char *const five[] = {"&amp;", "&lt;", "&gt;", "&quot;",
                                       "&#39;"};
    char text[24], expected[32];
    struct str got;
    size_t i, k;

    for (k = 0; k < 5; k++)
        for (i = 0; i < sizeof text; i++) {
            memset(text, 'x', sizeof text);
            text[i] = "&<>\"'"[k];
            memset(expected, 'x', sizeof expected);
            memcpy(expected + i, five[k], strlen(five[k]));
            got = escaped((struct str){text, sizeof text});
            CHECK_INT(got.n, sizeof text + strlen(five[k]) - 1);
            CHECK(memcmp(got.p, expected, got.n) == 0);
        }
}

static void leaves_other_bytes_alone(void)
{
    char text[256];
    size_t n = 0;
    int c;

    for (c = 0; c < 256; c++)
        if (c == 0 || strchr("&<>\"'", c) == NULL)
            text[n++] = (char)c;
    CHECK(n == 251);
    CHECK(escaped((struct str){text, n}).n == n);
    CHECK(memcmp(out.p, text, n) == 0);
}

static void escapes_long_texts(void)
{
    static char text[20000];

    memset(text, '"', sizeof text);
    CHECK(escaped((struct str){text, sizeof text}).n == 6 * sizeof text);
    CHECK(memcmp(out.p + 6 * 4095, "&quot;&quot;", 12) == 0);
    bytes_clear(&out);
}

int main(void)
{
    bytes_init(&out);
    RUN(escapes_the_five);
    RUN(finds_them_at_every_place);
    RUN(leaves_other_bytes_alone);
    RUN(escapes_long_texts);
    return test_finish();
}
