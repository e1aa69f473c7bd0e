/* Lists of fields: which bytes a value may have, wherever they stand, and
 * fields that are added, found and removed by number. */
#include "http/headers.h"

#include "test.h"

static struct pool pool;

/* RFC 9110 5.5: a tab, and whatever is no control character. */
static bool may_stand(int byte)
{
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static void knows_the_bytes_of_values_wherever_they_stand(void)
{
    char value[21];
    size_t n, at;
    int byte, wrong = 0;

    for (n = 1; n < sizeof value; n++)
        for (at = 0; at < n; at++)
            for (byte = 0; byte < 256; byte++) {
                memset(value, byte % 2 ? 'x' : '\xff', n);
                value[at] = (char)byte;
                wrong += headers_value_valid((struct str){value, n}) !=
                         may_stand(byte);
            }
    CHECK_INT(wrong, 0);
    CHECK(headers_value_valid((struct str){NULL, 0}));
}

static void extends_a_list_by_fields_that_the_caller_fills(void)
{
    struct headers h = {.items = NULL};
    struct header *at;
    int i;

    headers_add(&h, &pool, STR("Host"), STR("a"));
    at = headers_extend(&h, &pool, 20, 1u << HEADER_COOKIE);
    for (i = 0; i < 20; i++)
        at[i] = (struct header){STR("Cookie"), STR("b"), HEADER_COOKIE};
    CHECK_INT(h.n, 21);
    CHECK_STR(h.items[0].value, "a");
    CHECK(headers_find(&h, HEADER_HOST, 0) == &h.items[0]);
    CHECK(headers_find(&h, HEADER_COOKIE, 0) == &h.items[1]);
    CHECK(headers_find(&h, HEADER_COOKIE, 21) == NULL);
    CHECK(headers_find(&h, HEADER_TE, 0) == NULL);
    headers_extend(&h, &pool, 0, 0);
    CHECK_INT(h.n, 21);
}

static void removes_by_number(void)
{
    struct headers h = {.items = NULL};

    CHECK_INT(headers_remove_id(&h, HEADER_DATE), 0);
    headers_add(&h, &pool, STR("date"), STR("a"));
    headers_add_as(&h, &pool, HEADER_OTHER, STR("x"), STR("b"));
    headers_add_as(&h, &pool, HEADER_DATE, STR("Date"), STR("c"));
    CHECK_INT(headers_remove_id(&h, HEADER_DATE), 2);
    CHECK_INT(h.n, 1);
    CHECK_STR(h.items[0].value, "b");
    CHECK_INT(headers_remove_id(&h, HEADER_DATE), 0);
}

int main(void)
{
    pool_init(&pool);
    RUN(knows_the_bytes_of_values_wherever_they_stand);
    RUN(extends_a_list_by_fields_that_the_caller_fills);
    RUN(removes_by_number);
    pool_clear(&pool);
    return test_finish();
}
