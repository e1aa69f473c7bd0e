/* HTTP's dates are English and in GMT whatever the locale, so strftime and
 * strptime are of no use: the three formats are written and read here by hand.
 * They have fixed columns, which makes reading a matter of comparing separators
 * and converting a few digits. The day's name must be one, but whether it is
 * the right one for the date is not asked. */
#include "base/clock.h"

#include <stdbool.h>
#include <string.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed",
                                "Thu", "Fri", "Sat"};
static const char long_days[7][10] = {"Sunday",    "Monday",   "Tuesday",
                                      "Wednesday", "Thursday", "Friday",
                                      "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* The seconds whose year has four digits: 0000-01-01 to 9999-12-31. */
static const time_t first_time = -62167219200, last_time = 253402300799;

static uint64_t nanoseconds(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic(void)
{
    return nanoseconds(CLOCK_MONOTONIC);
}

uint64_t clock_thread_cpu(void)
{
    return nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}

static char *put_two(char *at, int n)
{
    *at++ = (char)('0' + n / 10);
    *at++ = (char)('0' + n % 10);
    return at;
}

static char *put(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

void clock_format_date(time_t t, char out[static CLOCK_DATE_SIZE + 1])
{
    struct tm tm;
    char *at = out;
    int year;

    t = t < first_time ? first_time : t > last_time ? last_time : t;
    gmtime_r(&t, &tm);
    year = tm.tm_year + 1900;
    at = put(at, days[tm.tm_wday], 3);
    at = put_two(put(at, ", ", 2), tm.tm_mday);
    at = put(put(at, " ", 1), months[tm.tm_mon], 3);
    at = put_two(put_two(put(at, " ", 1), year / 100), year % 100);
    at = put_two(put(at, " ", 1), tm.tm_hour);
    at = put_two(put(at, ":", 1), tm.tm_min);
    at = put_two(put(at, ":", 1), tm.tm_sec);
    put(at, " GMT", 5);
}

const char *clock_date(time_t now)
{
    static time_t shown = 0;
    static char text[CLOCK_DATE_SIZE + 1] = "Thu, 01 Jan 1970 00:00:00 GMT";

    if (now != shown) {
        clock_format_date(now, text);
        shown = now;
    }
    return text;
}

/* The number of exactly n digits at p, or -1. */
static int read_number(const char *p, int n)
{
    int value = 0;

    for (; n > 0; n--, p++) {
        if (*p < '0' || *p > '9')
            return -1;
        value = value * 10 + (*p - '0');
    }
    return value;
}

static bool is_day(const char *p)
{
    for (int i = 0; i < 7; i++)
        if (memcmp(p, days[i], 3) == 0)
            return true;
    return false;
}

/* The month named by the three letters at p, 1-12, or -1. */
static int read_month(const char *p)
{
    for (int i = 0; i < 12; i++)
        if (memcmp(p, months[i], 3) == 0)
            return i + 1;
    return -1;
}

/* The second of the day at p, "hh:mm:ss", or -1. 60 is a leap second. */
static int read_time(const char *p)
{
    int hour = read_number(p, 2), minute = read_number(p + 3, 2);
    int second = read_number(p + 6, 2);

    if (p[2] != ':' || p[5] != ':' || hour < 0 || minute < 0 || second < 0 ||
        hour > 23 || minute > 59 || second > 60)
        return -1;
    return hour * 3600 + minute * 60 + second;
}

static int days_in_month(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return lengths[month - 1] + (month == 2 && leap);
}

/* Puts the pieces, each of which may be -1, together. */
static int make_time(int year, int month, int day, int second, time_t *t)
{
    struct tm tm = {0};

    if (year < 0 || month < 0 || second < 0 || day < 1 ||
        day > days_in_month(year, month))
        return -1;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    *t = timegm(&tm) + second;
    return 0;
}

/* IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT". */
static int parse_fixdate(const char *p, time_t *t)
{
    if (!is_day(p) || memcmp(p + 3, ", ", 2) != 0 || p[7] != ' ' ||
        p[11] != ' ' || p[16] != ' ' || memcmp(p + 25, " GMT", 4) != 0)
        return -1;
    return make_time(read_number(p + 12, 4), read_month(p + 8),
                     read_number(p + 5, 2), read_time(p + 17), t);
}

/* asctime-date: "Sun Nov  6 08:49:37 1994". */
static int parse_asctime(const char *p, time_t *t)
{
    int day = p[8] == ' ' ? read_number(p + 9, 1) : read_number(p + 8, 2);

    if (!is_day(p) || p[3] != ' ' || p[7] != ' ' || p[10] != ' ' ||
        p[19] != ' ')
        return -1;
    return make_time(read_number(p + 20, 4), read_month(p + 4), day,
                     read_time(p + 11), t);
}

/* The year meant by two digits: the one nearest to now, since one that lies
 * more than 50 years ahead stands for the last such year (RFC 9110 5.6.7). */
static int full_year(int two_digits)
{
    time_t now = time(NULL);
    struct tm tm;
    int this_year, year;

    gmtime_r(&now, &tm);
    this_year = tm.tm_year + 1900;
    year = this_year / 100 * 100 + two_digits;
    if (year > this_year + 50)
        return year - 100;
    return year <= this_year - 50 ? year + 100 : year;
}

/* rfc850-date: "Sunday, 06-Nov-94 08:49:37 GMT"; p is behind the day's name. */
static int parse_rfc850(const char *p, time_t *t)
{
    int year = read_number(p + 9, 2);

    if (memcmp(p, ", ", 2) != 0 || p[4] != '-' || p[8] != '-' || p[11] != ' ' ||
        memcmp(p + 20, " GMT", 4) != 0)
        return -1;
    return make_time(year < 0 ? -1 : full_year(year), read_month(p + 5),
                     read_number(p + 2, 2), read_time(p + 12), t);
}

int clock_parse_date(const char *text, size_t n, time_t *t)
{
    enum { ASCTIME_SIZE = 24, RFC850_REST = 24 };

    if (n == CLOCK_DATE_SIZE && text[3] == ',')
        return parse_fixdate(text, t);
    if (n == ASCTIME_SIZE)
        return parse_asctime(text, t);
    for (int i = 0; i < 7; i++) {
        size_t name = strlen(long_days[i]);

        if (n == name + RFC850_REST && memcmp(text, long_days[i], name) == 0)
            return parse_rfc850(text + name, t);
    }
    return -1;
}
