/* Lists are short, so each question walks them anew. A malformed weight counts
 * as none at all: 1. */
#include "http/accept.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct str trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0]))
        s.p++, s.n--;
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Takes what is in front of the next c off text, and c. */
static struct str take(struct str *text, char c)
{
    const char *at = text->n ? memchr(text->p, c, text->n) : NULL;
    struct str part = {text->p, at ? (size_t)(at - text->p) : text->n};

    text->p += part.n + (at != NULL);
    text->n -= part.n + (at != NULL);
    return trim(part);
}

/* "0.25" as 250 (RFC 9110 12.4.2: up to three digits). */
static int weight_of(struct str digits)
{
    int weight = 0, unit = 100;
    size_t i;

    if (digits.n == 0 || digits.n > 5 || digits.p[0] < '0' ||
        digits.p[0] > '1' || (digits.n > 1 && digits.p[1] != '.'))
        return ACCEPT_MOST;
    weight = (digits.p[0] - '0') * ACCEPT_MOST;
    for (i = 2; i < digits.n; i++, unit /= 10) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return ACCEPT_MOST;
        weight += (digits.p[i] - '0') * unit;
    }
    return weight < ACCEPT_MOST ? weight : ACCEPT_MOST;
}

/* The weight among the parameters of an element. */
static int read_weight(struct str parameters)
{
    struct str parameter, key;

    while (parameters.n > 0) {
        parameter = take(&parameters, ';');
        key = take(&parameter, '=');
        if (str_ieq(key, STR("q")))
            return weight_of(trim(parameter));
    }
    return ACCEPT_MOST;
}

int accept_weight(const struct headers *h, struct str name, struct str value)
{
    const struct header *field = headers_get(h, name, 0);
    struct str list, element, token;
    int any = -1;

    for (; field != NULL;
         field = headers_get(h, name, (unsigned)(field - h->items) + 1)) {
        list = field->value;
        while (list.n > 0) {
            element = take(&list, ',');
            token = take(&element, ';');
            if (str_ieq(token, value))
                return read_weight(element);
            if (str_eq(token, STR("*")))
                any = read_weight(element);
        }
    }
    return any;
}
