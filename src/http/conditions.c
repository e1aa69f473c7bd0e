/* Lists of tags are read leniently: what is between two quotes is a tag. A
 * Range that is malformed counts as none (RFC 9110 14.2). */
#include "http/conditions.h"

#include "base/clock.h"

static const struct header *find(const struct headers *h, struct str name)
{
    return headers_get(h, name, 0);
}

bool conditions_any(const struct headers *request)
{
    const struct header *field = request->items;
    const struct header *end = field + request->n;

    for (; field < end; field++)
        if (field->id == HEADER_OTHER && field->name.n >= 5 &&
            (str_ieq((struct str){field->name.p, 3}, STR("If-")) ||
             str_ieq(field->name, STR("Range"))))
            return true;
    return false;
}

static struct str opaque(struct str tag)
{
    return str_starts(tag, STR("W/")) ? str_skip(tag, 2) : tag;
}

/* Takes the next tag off list. */
static bool next_tag(struct str *list, struct str *tag)
{
    const char *p = list->n ? memchr(list->p, '"', list->n) : NULL;
    const char *begin, *end = list->p + list->n, *close;

    if (p == NULL)
        return false;
    close = memchr(p + 1, '"', (size_t)(end - p - 1));
    if (close == NULL)
        return false;
    begin = p;
    if (p - list->p >= 2 && p[-1] == '/' && p[-2] == 'W')
        begin -= 2;
    *tag = (struct str){begin, (size_t)(close + 1 - begin)};
    *list = (struct str){close + 1, (size_t)(end - close - 1)};
    return true;
}

/* Whether one of the tags of the fields of that name is tag. weak: by the weak
 * comparison (RFC 9110 8.8.3.2). */
static bool names_tag(const struct headers *h, struct str name, struct str tag,
                      bool weak)
{
    const struct header *field = find(h, name);
    struct str list, one;

    for (; field != NULL;
         field = headers_get(h, name, (unsigned)(field - h->items) + 1)) {
        list = field->value;
        if (str_eq(str_trim(list), STR("*")))
            return true;
        while (tag.n > 0 && next_tag(&list, &one))
            if (weak ? str_eq(opaque(one), opaque(tag))
                     : one.p[0] == '"' && str_eq(one, tag))
                return true;
    }
    return false;
}

/* Reads a date field; false where it is missing or none. */
static bool read_date(const struct headers *h, struct str name, time_t *t)
{
    const struct header *field = find(h, name);

    return field != NULL &&
           clock_parse_date(field->value.p, field->value.n, t) == 0;
}

int conditions_status(const struct headers *h, const struct validators *v)
{
    time_t t;

    /* RFC 9110 13.2.2: in this order */
    if (find(h, STR("If-Match")) != NULL) {
        if (!names_tag(h, STR("If-Match"), v->tag, false))
            return 412;
    } else if (v->date.n > 0 && read_date(h, STR("If-Unmodified-Since"), &t) &&
               v->modified > t) {
        return 412;
    }
    if (find(h, STR("If-None-Match")) != NULL)
        return names_tag(h, STR("If-None-Match"), v->tag, true) ? 304 : 200;
    if (v->date.n > 0 && read_date(h, STR("If-Modified-Since"), &t) &&
        v->modified <= t)
        return 304;
    return 200;
}

/* ---- ranges */

/* Whether the client's part is of what we have (RFC 9110 13.1.5). A date counts
 * where a second has passed since: before that, the file may be written again
 * under the same date (8.8.2.2). */
static bool range_applies(const struct headers *h, const struct validators *v,
                          time_t now)
{
    const struct header *field = find(h, STR("If-Range"));
    struct str value;

    if (field == NULL)
        return true;
    value = str_trim(field->value);
    if (str_starts(value, STR("W/"))) /* weak tags are never the same part */
        return false;
    if (value.n > 0 && value.p[0] == '"')
        return v->tag.n > 0 && str_eq(value, v->tag);
    return v->date.n > 0 && str_eq(value, v->date) && now - v->modified > 1;
}

/* Reads digits to *n, at most 18 of them; -1 where there are none, or else. */
static int read_number(struct str text, int64_t *n)
{
    size_t i;

    if (text.n == 0)
        return -1;
    *n = 0;
    for (i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        if (*n < INT64_MAX / 100)
            *n = *n * 10 + (text.p[i] - '0');
    }
    return 0;
}

/* Reads "a-b", "a-" or "-n". Returns 1 where it is within size bytes, 0 where
 * it is not, -1 where it is malformed. */
static int read_range(struct str text, int64_t size, struct range *r)
{
    struct str first = str_cut(&text, '-');
    int64_t from, to;

    if (text.p == NULL)
        return -1;
    if (first.n == 0) {
        if (read_number(text, &to) < 0)
            return -1;
        r->n = to < size ? to : size;
        r->from = size - r->n;
        return r->n > 0;
    }
    if (read_number(first, &from) < 0)
        return -1;
    to = INT64_MAX - 1;
    if (text.n > 0 && (read_number(text, &to) < 0 || to < from))
        return -1;
    r->from = from;
    r->n = (to < size ? to + 1 : size) - from;
    return from < size;
}

/* Makes of those that overlap one, in the place of the first of them. */
static int merge(struct range *r, int n)
{
    int i, k;

    for (i = 0; i < n; i++)
        for (k = i + 1; k < n; k++) {
            int64_t end = r[i].from + r[i].n, other = r[k].from + r[k].n;

            if (r[k].from > end || other < r[i].from)
                continue;
            if (r[k].from < r[i].from)
                r[i].from = r[k].from;
            r[i].n = (other > end ? other : end) - r[i].from;
            memmove(&r[k], &r[k + 1], (size_t)(n - k - 1) * sizeof *r);
            n--;
            k = i; /* it is larger now: from the start */
        }
    return n;
}

int conditions_ranges(const struct headers *h, const struct validators *v,
                      int64_t size, time_t now,
                      struct range ranges[static CONDITIONS_RANGES])
{
    const struct header *field = find(h, STR("Range"));
    struct str list, unit, text;
    int n = 0, count = 0, fits;

    if (field == NULL || !range_applies(h, v, now))
        return 0;
    list = field->value;
    unit = str_trim(str_cut(&list, '='));
    if (!str_ieq(unit, STR("bytes")) || list.p == NULL)
        return 0;
    while (list.p != NULL) {
        text = str_trim(str_cut(&list, ','));
        if (text.n == 0)
            continue;
        if (++count > CONDITIONS_RANGES)
            return 0;
        fits = read_range(text, size, &ranges[n]);
        if (fits < 0)
            return 0;
        n += fits;
    }
    if (count == 0)
        return 0;
    return n == 0 ? -1 : merge(ranges, n);
}
