/* A borrowed slice of bytes: pointer and length, no terminator, no ownership.
 * Everything that points into a request head, a pool or a Lua string is one;
 * it is valid as long as what it points into. All functions are inline. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct str {
    const char *p;
    size_t n;
};

/* A slice of a string literal. */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

/* A slice of the NUL-terminated s. */
static inline struct str str_of(const char *s)
{
    return (struct str){s, strlen(s)};
}

/* True where a and b hold the same bytes. */
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* True where a and b are the same but for the case of ASCII letters. */
static inline bool str_ieq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* True where s begins with the bytes of prefix. */
static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

/* s without its first n bytes; n must not exceed s.n. */
static inline struct str str_skip(struct str s, size_t n)
{
    return (struct str){s.p + n, s.n - n};
}

/* s without leading and trailing spaces and tabs (OWS, RFC 9110 5.6.3). */
static inline struct str str_trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Cuts *rest at its first sep: returns what is before it and leaves in *rest
 * what is behind it; without a sep returns all and leaves {NULL, 0}. */
static inline struct str str_cut(struct str *rest, char sep)
{
    struct str head = *rest;
    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;

    if (at == NULL) {
        *rest = (struct str){NULL, 0};
        return head;
    }
    head.n = (size_t)(at - rest->p);
    *rest = str_skip(*rest, head.n + 1);
    return head;
}

#endif
