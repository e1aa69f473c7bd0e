/* Numbers as JSON writes them: 64-bit integers in full, doubles in the fewest
 * digits that read back as the same double. Used by json_encode.c and
 * json_decode.c; independent of Lua and of the locale. */
#ifndef SCRIPT_JSON_NUMBER_H
#define SCRIPT_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_NUMBER_MAX = 32 }; /* bytes that any number needs */

struct json_number {
    bool is_integer; /* written without fraction and exponent, fits 64 bits */
    int64_t integer;
    double real; /* where it is no integer */
};

/* Writes n in decimal, without a NUL; returns the count of bytes. */
size_t json_number_integer(int64_t n, char out[static JSON_NUMBER_MAX]);

/* Writes the finite n: as an integer where it is whole and within 64 bits
 * (but -0.0 so, which no integer is), else in the shortest form that reads back
 * as n. Without a NUL; returns the count of bytes. */
size_t json_number_real(double n, char out[static JSON_NUMBER_MAX]);

/* Reads the number (RFC 8259 6) at p, which points to '-' or a digit in text
 * that ends with a NUL; whatever follows it is the caller's to judge. Returns
 * its end; or NULL, and then *at is the offending byte and *problem what is
 * wrong there (static). */
const char *json_number_read(const char *p, struct json_number *out,
                             const char **at, const char **problem);

#endif
