/* Turning bytes into text and back: decimal, hex, base64, percent-encoding.
 * Pure functions without state, used by http and script. Output buffers are the
 * caller's; the size each needs is a function or a rule beside it. */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { ENCODE_DECIMAL_MAX = 20 }; /* digits of UINT64_MAX */

/* Writes n in decimal, without a NUL; returns the count of bytes. */
size_t encode_decimal(uint64_t n, char out[static ENCODE_DECIMAL_MAX]);

/* Writes n in lower-case hex without leading zeros; returns the count. */
size_t encode_hex_number(uint64_t n, char out[static 16]);

/* Writes 2 * n lower-case hex digits. */
void encode_hex(const void *bytes, size_t n, char *out);

/* Reads n hex digits (n even, either case) to n / 2 bytes at out. Returns the
 * count of bytes, or -1 at a byte that is no digit. */
ssize_t encode_unhex(const char *text, size_t n, void *out);

/* The value 0-15 of a hex digit, or -1. */
int encode_hex_value(char c);

/* Writes standard base64 with padding (RFC 4648 4), (n + 2) / 3 * 4 bytes;
 * returns the count. */
size_t encode_base64(const void *bytes, size_t n, char *out);

/* Writes base64url without padding (RFC 4648 5); returns the count. */
size_t encode_base64url(const void *bytes, size_t n, char *out);

/* Reads base64 or base64url, padded or not, to at most n / 4 * 3 + 3 bytes at
 * out. Returns the count, or -1 where text is malformed. */
ssize_t encode_unbase64(const char *text, size_t n, void *out);

/* Percent-decodes n bytes of text to out, which may be text itself and needs n
 * bytes (RFC 3986 2.1). plus: also '+' becomes a space, as in forms. Returns
 * the count, or -1 at a '%' without two hex digits. */
ssize_t encode_unpercent(const char *text, size_t n, char *out, int plus);

/* Percent-encodes everything but unreserved characters (RFC 3986 2.3) to out,
 * which needs 3 * n bytes; returns the count. */
size_t encode_percent(const void *bytes, size_t n, char *out);

#endif
