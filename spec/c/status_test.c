/* Status codes: the phrases that Node 20 has, all of them and no others. */
#include "http/status.h"

#include "test.h"

static void names_codes(void)
{
    CHECK_STR(status_reason(100), "Continue");
    CHECK_STR(status_reason(200), "OK");
    CHECK_STR(status_reason(404), "Not Found");
    CHECK_STR(status_reason(413), "Payload Too Large");
    CHECK_STR(status_reason(418), "I'm a Teapot");
    CHECK_STR(status_reason(431), "Request Header Fields Too Large");
    CHECK_STR(status_reason(511), "Network Authentication Required");
}

static void has_nothing_for_others(void)
{
    static const int others[] = {
        -1,        0,   99,  104, 199, 299, 306, 309,  419,
        430,       450, 499, 512, 599, 600, 999, 1000, -2147483647 - 1,
        2147483647};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK(status_reason(others[i]).p == NULL);
        CHECK_INT(status_reason(others[i]).n, 0);
    }
}

static void goes_through_all_codes_in_order(void)
{
    static const int nodes[] = {
        100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208,
        226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403,
        404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416,
        417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500,
        501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511};
    int code = 0;

    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        code = status_next(code);
        CHECK_INT(code, nodes[i]);
        CHECK(status_reason(code).n > 0);
    }
    CHECK_INT(status_next(code), 0);
    CHECK_INT(status_next(-5), 100);
    CHECK_INT(status_next(2147483647), 0);
}

int main(void)
{
    RUN(names_codes);
    RUN(has_nothing_for_others);
    RUN(goes_through_all_codes_in_order);
    return test_finish();
}
