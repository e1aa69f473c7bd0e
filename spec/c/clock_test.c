/* Clocks and HTTP's dates: the examples of RFC 9110, the edges of the calendar,
 * and texts that are no dates. */
#include "base/clock.h"

#include "test.h"

static const time_t rfc_time = 784111777; /* the example of RFC 9110 5.6.7 */

/* What text means, or -1 (which no test here means). */
static long long parse(const char *text)
{
    time_t t = 0;

    return clock_parse_date(text, strlen(text), &t) < 0 ? -1 : (long long)t;
}

static struct str format(time_t t)
{
    static char out[CLOCK_DATE_SIZE + 1];

    clock_format_date(t, out);
    return str_of(out);
}

static void clocks_move_forward(void)
{
    uint64_t start = clock_monotonic(), cpu = clock_thread_cpu();

    while (clock_thread_cpu() == cpu)
        ;
    CHECK(clock_thread_cpu() > cpu);
    CHECK(clock_monotonic() > start);
}

static void formats_dates(void)
{
    CHECK_STR(format(rfc_time), "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK_STR(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK_STR(format(951782399), "Mon, 28 Feb 2000 23:59:59 GMT");
    CHECK_STR(format(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    CHECK_STR(format(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
}

static void formats_absurd_times_in_the_same_size(void)
{
    CHECK_STR(format((time_t)1 << 62), "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK_STR(format(-((time_t)1 << 62)), "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void keeps_the_current_date(void)
{
    const char *date = clock_date(0);

    CHECK_STR(str_of(date), "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK_STR(str_of(clock_date(rfc_time)), "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(clock_date(rfc_time) == date);
    CHECK_STR(str_of(clock_date(rfc_time)), "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK_STR(str_of(clock_date(rfc_time + 1)),
              "Sun, 06 Nov 1994 08:49:38 GMT");
    CHECK_STR(str_of(clock_date(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void reads_the_three_formats(void)
{
    CHECK_INT(parse("Sun, 06 Nov 1994 08:49:37 GMT"), rfc_time);
    CHECK_INT(parse("Sunday, 06-Nov-94 08:49:37 GMT"), rfc_time);
    CHECK_INT(parse("Sun Nov  6 08:49:37 1994"), rfc_time);
    CHECK_INT(parse("Wed Nov 16 08:49:37 1994"), rfc_time + 10 * 86400);
    CHECK_INT(parse("Wednesday, 16-Nov-94 08:49:37 GMT"),
              rfc_time + 10 * 86400);
}

static void reads_what_it_writes(void)
{
    char text[CLOCK_DATE_SIZE + 1];
    time_t back;

    for (time_t t = -62167219200; t < 253402300799; t += 86400LL * 997 + 3601) {
        clock_format_date(t, text);
        CHECK_INT(clock_parse_date(text, CLOCK_DATE_SIZE, &back), 0);
        CHECK_INT(back, t);
    }
}

static int year_of(time_t t)
{
    struct tm tm;

    gmtime_r(&t, &tm);
    return tm.tm_year + 1900;
}

static void takes_two_digits_for_the_nearest_year(void)
{
    int this_year = year_of(time(NULL));
    char text[40];
    time_t t = 0;

    for (int year = this_year - 49; year <= this_year + 50; year++) {
        int n = snprintf(text, sizeof text, "Monday, 01-Jan-%02d 00:00:00 GMT",
                         year % 100);

        CHECK_INT(clock_parse_date(text, (size_t)n, &t), 0);
        CHECK_INT(year_of(t), year);
    }
}

static void knows_the_calendar(void)
{
    CHECK(parse("Tue, 29 Feb 2000 00:00:00 GMT") == 951782400);
    CHECK(parse("Thu, 29 Feb 2024 00:00:00 GMT") > 0);
    CHECK_INT(parse("Thu, 29 Feb 2023 00:00:00 GMT"), -1);
    CHECK_INT(parse("Thu, 29 Feb 2100 00:00:00 GMT"), -1);
    CHECK_INT(parse("Thu, 31 Apr 2024 00:00:00 GMT"), -1);
    CHECK_INT(parse("Thu, 00 Apr 2024 00:00:00 GMT"), -1);
    CHECK(parse("Sat, 31 Dec 2016 23:59:60 GMT") == 1483228800);
}

static void refuses_what_is_no_date(void)
{
    static const char *const bad[] = {
        "",
        "0",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +00",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 19x4 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-x4 08:49:37 GMT",
        "Sun Nov 06 08:49:37 94",
        "Sun Nov 36 08:49:37 1994",
        "Sun Nov  6 08.49.37 1994",
        "abcdefghijklmnopqrstuvwx",
        "Sun,,,,,,,,,,,,,,,,,,,,,,,,,,",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(parse(bad[i]), -1);
}

int main(void)
{
    RUN(clocks_move_forward);
    RUN(formats_dates);
    RUN(formats_absurd_times_in_the_same_size);
    RUN(keeps_the_current_date);
    RUN(reads_the_three_formats);
    RUN(reads_what_it_writes);
    RUN(takes_two_digits_for_the_nearest_year);
    RUN(knows_the_calendar);
    RUN(refuses_what_is_no_date);
    return test_finish();
}
