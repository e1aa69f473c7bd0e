/* A multipart/form-data body (RFC 7578, RFC 2046 5.1), read as it comes: bytes
 * go in as they are cut by the network, parts and their data come out. Nothing
 * of the data is kept or copied; a part's head is, up to a limit. Used by
 * script/l_multipart.c.
 *
 *     while ((event = multipart_next(&m, &in, &data)) != MULTIPART_MORE) ...
 *
 * Where the body ends, it was whole if multipart_complete(). */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/str.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046 5.1.1 */
    MULTIPART_FIELDS = 16        /* headers of a part */
};

enum multipart_event {
    MULTIPART_MORE,  /* the input is used up */
    MULTIPART_PART,  /* a part begins: m->part */
    MULTIPART_DATA,  /* bytes of it */
    MULTIPART_END,   /* the part is complete */
    MULTIPART_CLOSE, /* the last one was; what follows is nothing */
    MULTIPART_BAD    /* m->error says why; the status to answer is m->status */
};

struct multipart_limits {
    size_t parts; /* their count */
    size_t head;  /* bytes of a part's headers */
    size_t name;  /* bytes of a field's name */
};

/* What a part's head says; valid until the next part begins. */
struct multipart_part {
    struct str name;
    struct str filename; /* its last segment, without control characters */
    bool is_file;        /* it has a file name, be it an empty one */
    struct str type;     /* the Content-Type, empty where there is none */
    struct {
        struct str name, value; /* name in lower case */
    } fields[MULTIPART_FIELDS];
    unsigned nfields;
};

struct multipart {
    char delimiter[4 + MULTIPART_BOUNDARY_MAX]; /* CR LF - - boundary */
    size_t ndelimiter;
    size_t matched;  /* bytes of it that the input's end has had */
    size_t borrowed; /* of these, those that were not data */
    int state;
    struct multipart_limits limits;
    struct multipart_part part;
    struct bytes head, spare; /* spare: a decoded file name */
    size_t count;             /* parts so far */
    const char *error;
    int status;
};

/* Prepares m for a body with that boundary, which is copied. Returns false
 * where it is none: of 1 to 70 characters of RFC 2046, no blank at its end. */
bool multipart_init(struct multipart *m, struct str boundary,
                    const struct multipart_limits *limits);

/* Frees what m holds. */
void multipart_clear(struct multipart *m);

/* Takes the next event from *in, which is shortened by what was used, and for
 * MULTIPART_DATA has *data set, which points into the input or into m and is
 * valid until the next call. */
enum multipart_event multipart_next(struct multipart *m, struct str *in,
                                    struct str *data);

/* True when the last delimiter has been there. */
bool multipart_complete(const struct multipart *m);

#endif
