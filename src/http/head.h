/* The head of an HTTP/1 request: found in the bytes that have arrived, checked
 * line by line, then parsed by llhttp and turned into an exchange's fields.
 * Used by h1. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "http/exchange.h"
#include "http/limits.h"

/* How far a head was scanned; all zero at its first byte. */
struct head_scan {
    size_t line;    /* where the line begins that is not complete yet */
    unsigned lines; /* complete lines before it */
};

/* Looks for the end of the head that begins at p, going on where scan left off.
 * Returns its length with the empty line, 0 where more bytes are needed, or the
 * negative status (400, 414, 431) that refuses it. */
long head_find(struct head_scan *scan, const char *p, size_t n,
               const struct limits *limits);

/* What h1 has to know of a head beyond the exchange's fields. */
struct head {
    bool chunked;            /* the body is */
    bool keep_alive;         /* the client would go on */
    bool upgrade;            /* asks for another protocol */
    bool expectation_failed; /* an Expect that is not 100-continue */
};

/* Parses the complete head of n bytes at p (writable, in x's pool, and borrowed
 * by x's slices) into x and *out. Returns 0 or the status (400, 431, 501, 505)
 * that refuses it. */
int head_parse(struct exchange *x, struct head *out, char *p, size_t n,
               const struct limits *limits);

/* 0 for a method that HTTP/1 knows here, else the status for it: 501, or 400
 * where it is none (RFC 9110 9.1). For h2, whose library takes any token. */
int head_method_status(struct str method);

/* The version of llhttp, as text. */
const char *head_library(void);

#endif
