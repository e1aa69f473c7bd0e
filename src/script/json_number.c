/* Writing finds the shortest digits by exact arithmetic on 128-bit integers,
 * for the doubles from 1e-4 to 2^53; reading multiplies or divides exact
 * numbers, up to 19 digits with few decimals. That is what people send. All
 * others go through the C library, which is right and slow: the price of having
 * no tables of powers here. Its decimal point follows the locale, which a
 * script can change by os.setlocale; so it is always called in a locale of our
 * own. */
#include "script/json_number.h"

#include <assert.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

/* The powers of ten that a double holds exactly. */
enum { EXACT_POWERS = 22 };

static const double powers[EXACT_POWERS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Every integer up to here is a double. */
static const uint64_t exact_integer = UINT64_C(1) << DBL_MANT_DIG;

static locale_t c_locale(void)
{
    static locale_t locale;

    if (locale == NULL)
        locale = newlocale(LC_ALL_MASK, "C", NULL);
    assert(locale != NULL);
    return locale;
}

size_t json_number_integer(int64_t n, char out[static JSON_NUMBER_MAX])
{
    if (n >= 0 && n < 10) {
        out[0] = (char)('0' + n);
        return 1;
    }
    if (n >= 0)
        return encode_decimal((uint64_t)n, out);
    out[0] = '-';
    return 1 + encode_decimal(-(uint64_t)n, out + 1);
}

/* printf writes at least two digits of the exponent. */
static size_t trim_exponent(char *text, size_t n)
{
    char *e = memchr(text, 'e', n), *from, *to;

    if (e == NULL)
        return n;
    from = to = e + 2;
    while (*from == '0')
        from++;
    memmove(to, from, (size_t)(text + n - from));
    return n - (size_t)(from - to);
}

/* Fifteen digits survive in every double but the subnormal ones, which have
 * fewer to give; seventeen tell any two doubles apart. */
static size_t write_long(double n, char *out)
{
    int size, digits = fabs(n) < DBL_MIN ? 1 : DBL_DIG;
    char text[JSON_NUMBER_MAX + 1];
    locale_t before = uselocale(c_locale());

    for (;; digits++) {
        size = snprintf(text, sizeof text, "%.*g", digits, n);
        assert(size > 0 && size <= JSON_NUMBER_MAX);
        if (digits >= DBL_DECIMAL_DIG || strtod(text, NULL) == n)
            break;
    }
    uselocale(before);
    memcpy(out, text, (size_t)size);
    return trim_exponent(out, (size_t)size);
}

#ifdef __SIZEOF_INT128__

/* Writes units / 10^decimals, decimals > 0. */
static size_t write_decimal(uint64_t units, size_t decimals, char *out)
{
    char digits[ENCODE_DECIMAL_MAX];
    size_t n = encode_decimal(units, digits), whole;

    if (n <= decimals) {
        memcpy(out, "0.", 2);
        memset(out + 2, '0', decimals - n);
        memcpy(out + 2 + decimals - n, digits, n);
        return 2 + decimals;
    }
    whole = n - decimals;
    memcpy(out, digits, whole);
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, decimals);
    return n + 1;
}

/* The numbers that read back as the same double, all times some 10^scale. */
struct interval {
    uint64_t low, high; /* the least and the greatest integer within */
    uint64_t twice;     /* the double itself, doubled and rounded down */
    bool is_above;      /* and something was cut off there */
    int scale;
};

/* Finds the interval of n, 1e-4 <= n < 2^53 and not whole, with a scale that
 * gives the double 17 or 18 digits, so that there are integers in it. With
 * n = m * 2^e, it reaches from (m - 1/2) * 2^e to (m + 1/2) * 2^e, but below a
 * power of two the doubles lie twice as close. The ends belong to it where m is
 * even: ties are read as the even one. */
static void find_interval(double n, struct interval *v)
{
    uint64_t bits, m;
    unsigned __int128 scale, low, middle, high, rest;
    int exponent, shift, odd;

    memcpy(&bits, &n, sizeof bits);
    exponent = (int)(bits >> 52) - 1023;
    m = (bits & (exact_integer / 2 - 1)) | exact_integer / 2;
    odd = m & 1;
    /* 78913 / 2^18 is log10(2): v->scale is at most 21, and (4 * m + 2) * 10^21
     * needs 125 bits. */
    v->scale = 16 - (exponent * 78913 >> 18);
    scale = (unsigned __int128)powers[v->scale];
    /* Counted in quarters of 2^e, e = exponent - 52 < 0. */
    shift = 52 - exponent + 2;
    rest = ((unsigned __int128)1 << shift) - 1;
    low = (4 * m - (m == exact_integer / 2 ? 1 : 2)) * scale;
    middle = 4 * m * scale;
    high = (4 * m + 2) * scale;
    v->low = (uint64_t)((low + rest + (unsigned)odd) >> shift);
    v->high = (uint64_t)((high - (unsigned)odd) >> shift);
    v->twice = (uint64_t)(middle >> (shift - 1));
    v->is_above = (middle & rest >> 1) != 0;
}

/* Writes n, 1e-4 <= n < 2^53 and not whole: the integer of the interval with
 * most zeros at its end, and of several the nearest to n. */
static size_t write_short(double n, char *out)
{
    struct interval v;
    uint64_t unit = 1, digits, rest;

    find_interval(n, &v);
    while ((v.low + 9) / 10 <= v.high / 10) {
        v.low = (v.low + 9) / 10;
        v.high /= 10;
        unit *= 10;
        v.scale--;
    }
    digits = v.twice / (2 * unit);
    rest = v.twice % (2 * unit);
    if (rest > unit || (rest == unit && (v.is_above || digits % 2 != 0)) ||
        digits < v.low)
        digits++;
    if (digits > v.high)
        digits = v.high;
    return write_decimal(digits, (size_t)v.scale, out);
}

#else

static size_t write_short(double n, char *out)
{
    return write_long(n, out);
}

#endif

size_t json_number_real(double n, char out[static JSON_NUMBER_MAX])
{
    size_t sign = n < 0;

    if (n == 0 && signbit(n)) {
        memcpy(out, "-0.0", 4);
        return 4;
    }
    if (n >= -0x1p63 && n < 0x1p63 && n == (double)(int64_t)n)
        return json_number_integer((int64_t)n, out);
    out[0] = '-';
    n = fabs(n);
    if (n >= 1e-4 && n < 0x1p53)
        return sign + write_short(n, out + sign);
    return sign + write_long(n, out + sign);
}

/* What the digits say: value * 10^exponent, where value is exact. */
struct decimal {
    uint64_t value;
    int64_t exponent;
    bool is_exact; /* no digit was left out of value */
    bool is_integer;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes digits into d while they fit; each lowers the exponent by step, which
 * is 1 behind the point. Returns their end. */
static const char *read_digits(const char *p, struct decimal *d, int step)
{
    for (; is_digit(*p); p++) {
        if (d->value >= UINT64_MAX / 10) {
            d->is_exact = false;
            continue;
        }
        d->value = d->value * 10 + (uint64_t)(*p - '0');
        d->exponent -= step;
    }
    return p;
}

/* Reads the exponent behind an 'e', without trusting its size. */
static const char *read_exponent(const char *p, struct decimal *d)
{
    bool minus = *p == '-';
    int64_t exponent = 0;

    if (*p == '-' || *p == '+')
        p++;
    if (!is_digit(*p))
        return NULL;
    for (; is_digit(*p); p++)
        if (exponent < 1000000)
            exponent = exponent * 10 + (*p - '0');
    d->exponent += minus ? -exponent : exponent;
    return p;
}

/* The double that d is. An exact integer times or by an exact power of ten is
 * rounded once, and so is right. */
static double to_real(const struct decimal *d, bool minus, const char *p)
{
    double n = (double)d->value;

    if (!d->is_exact || d->exponent < -EXACT_POWERS ||
        d->exponent > EXACT_POWERS || FLT_EVAL_METHOD != 0 ||
        (d->value > exact_integer && d->exponent != 0))
        return strtod_l(p, NULL, c_locale());
    if (d->exponent < 0)
        n /= powers[-d->exponent];
    else if (d->exponent > 0)
        n *= powers[d->exponent];
    return minus ? -n : n;
}

/* Reads what may follow the digits before the point. Returns the end, or NULL
 * with *at where a digit is missing. */
static const char *read_rest(const char *p, struct decimal *d, const char **at)
{
    if (*p == '.') {
        d->is_integer = false;
        *at = ++p;
        if (!is_digit(*p))
            return NULL;
        p = read_digits(p, d, 1);
    }
    if (*p == 'e' || *p == 'E') {
        d->is_integer = false;
        *at = ++p;
        if (*p == '-' || *p == '+')
            ++*at;
        p = read_exponent(p, d);
    }
    return p;
}

/* Fills out from d, which was read at start. */
static bool convert(struct json_number *out, const struct decimal *d,
                    const char *start)
{
    bool minus = *start == '-';

    out->is_integer =
        d->is_integer && d->is_exact && d->value <= (uint64_t)INT64_MAX + minus;
    if (out->is_integer) {
        out->integer = (int64_t)(minus ? -d->value : d->value);
        return true;
    }
    out->real = to_real(d, minus, start);
    return isfinite(out->real);
}

const char *json_number_read(const char *p, struct json_number *out,
                             const char **at, const char **problem)
{
    struct decimal d = {0, 0, true, true};
    const char *start = p, *end;

    if (*p == '-')
        p++;
    *at = p;
    *problem = "expected a digit";
    if (!is_digit(*p))
        return NULL;
    if (*p == '0' && is_digit(p[1])) {
        *problem = "a number cannot begin with 0 and another digit";
        return NULL;
    }
    end = read_rest(read_digits(p, &d, 0), &d, at);
    if (end == NULL)
        return NULL;
    if (convert(out, &d, start))
        return end;
    *at = start;
    *problem = "this number is too large";
    return NULL;
}
