/* Growable bytes: adding, growing, eating from the front. */
#include "base/bytes.h"

#include "test.h"

static struct str all(const struct bytes *b)
{
    return (struct str){b->p, b->n};
}

static void starts_without_memory(void)
{
    struct bytes b;

    bytes_init(&b);
    CHECK(b.p == NULL && b.n == 0 && b.cap == 0);
    bytes_append(&b, NULL, 0);
    bytes_consume(&b, 0);
    CHECK(b.p == NULL);
    bytes_clear(&b);
}

static void appends_and_grows(void)
{
    struct bytes b;

    bytes_init(&b);
    for (int i = 0; i < 10000; i++)
        bytes_append(&b, "abc", 3);
    CHECK_INT(b.n, 30000);
    CHECK(b.cap >= b.n && b.cap <= 4 * b.n);
    for (size_t i = 0; i < b.n; i++)
        CHECK(b.p[i] == "abc"[i % 3]);
    bytes_clear(&b);
    CHECK(b.p == NULL && b.n == 0 && b.cap == 0);
}

static void reserves_and_commits(void)
{
    struct bytes b;

    bytes_init(&b);
    memcpy(bytes_reserve(&b, 5000), "hello", 5);
    CHECK(b.n == 0 && b.cap >= 5000);
    bytes_commit(&b, 5);
    CHECK_STR(all(&b), "hello");
    CHECK(bytes_reserve(&b, 0) == b.p + 5);
    bytes_clear(&b);
}

static void consumes_from_the_front(void)
{
    struct bytes b;

    bytes_init(&b);
    bytes_append(&b, "0123456789", 10);
    bytes_consume(&b, 0);
    CHECK_STR(all(&b), "0123456789");
    bytes_consume(&b, 3);
    CHECK_STR(all(&b), "3456789");
    bytes_append(&b, "x", 1);
    CHECK_STR(all(&b), "3456789x");
    bytes_consume(&b, 8);
    CHECK(b.n == 0 && b.cap > 0);
    bytes_clear(&b);
}

static void prints_without_a_nul(void)
{
    struct bytes b;

    bytes_init(&b);
    bytes_printf(&b, "%s", "");
    CHECK_INT(b.n, 0);
    bytes_printf(&b, "%d-%s", 7, "x");
    bytes_printf(&b, "%600d", 1);
    CHECK_INT(b.n, 603);
    CHECK_STR(((struct str){b.p, 4}), "7-x ");
    CHECK(b.p[602] == '1');
    bytes_clear(&b);
}

int main(void)
{
    RUN(starts_without_memory);
    RUN(appends_and_grows);
    RUN(reserves_and_commits);
    RUN(consumes_from_the_front);
    RUN(prints_without_a_nul);
    return test_finish();
}
