/* What a server takes from a peer before it says no, and for how long it waits:
 * sizes in bytes, times in seconds, 0 for no limit where that makes sense. The
 * command line gives the defaults of the process (options.c); each server has
 * a copy that a script may change. The numbers are the contract's. */
#ifndef HTTP_LIMITS_H
#define HTTP_LIMITS_H

#include <stdint.h>

struct limits {
    uint64_t max_request_line; /* 414 */
    uint64_t max_header_size;  /* all of the head, 431 */
    uint64_t max_headers;      /* their count, 431; 0: any */
    uint64_t max_trailer_size; /* chunk overhead and trailers, 400 */
    uint64_t max_body;         /* what text, json, form collect, 413 */
    uint64_t max_discard;      /* of an unread body, then closed */
    uint64_t max_connections;  /* 0: nine tenths of the descriptors */
    uint64_t max_requests;     /* on one connection; 0: any number */
    uint64_t max_streams;      /* of HTTP/2, open on one connection */
    double keep_alive_timeout; /* quiet between requests, closed */
    double headers_timeout;    /* the whole head, 408 */
    double request_timeout;    /* the whole request, 408 */
    double min_body_rate;      /* bytes/s after body_rate_grace, 408 */
    double body_rate_grace;    /* seconds before the rate counts */
    double write_timeout;      /* a client that reads nothing, reset */
    double handler_timeout;    /* until the head is sent, 503 */
    double tls_timeout;        /* of a handshake, closed */
    double discard_timeout;    /* for reading an unread body away, closed */
};

#define LIMITS_DEFAULT                                                         \
    ((struct limits){.max_request_line = 8 * 1024,                             \
                     .max_header_size = 32 * 1024,                             \
                     .max_headers = 100,                                       \
                     .max_trailer_size = 16 * 1024,                            \
                     .max_body = 1024 * 1024,                                  \
                     .max_discard = 256 * 1024,                                \
                     .max_streams = 100,                                       \
                     .keep_alive_timeout = 75,                                 \
                     .headers_timeout = 20,                                    \
                     .request_timeout = 300,                                   \
                     .min_body_rate = 500,                                     \
                     .body_rate_grace = 10,                                    \
                     .write_timeout = 60,                                      \
                     .handler_timeout = 60,                                    \
                     .tls_timeout = 10,                                        \
                     .discard_timeout = 5})

#endif
