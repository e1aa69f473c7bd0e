/* Header fields (RFC 9110 5): an ordered list of names and values that keeps
 * what was sent, with the common names known by number. Names and values are
 * borrowed slices, usually of the exchange's pool. Used by the codecs and the
 * script side. */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/str.h"

enum header_id {
    HEADER_OTHER,
    HEADER_CONNECTION,
    HEADER_CONTENT_LENGTH,
    HEADER_CONTENT_TYPE,
    HEADER_COOKIE,
    HEADER_DATE,
    HEADER_EXPECT,
    HEADER_HOST,
    HEADER_KEEP_ALIVE,
    HEADER_PROXY_CONNECTION,
    HEADER_REFERER,
    HEADER_SERVER,
    HEADER_SET_COOKIE,
    HEADER_TE,
    HEADER_TRAILER,
    HEADER_TRANSFER_ENCODING,
    HEADER_UPGRADE,
    HEADER_USER_AGENT
};

struct header {
    struct str name, value;
    enum header_id id;
};

struct headers {
    struct header *items;
    unsigned n, cap;
    uint32_t ids; /* a bit for each id that was ever added */
};

/* The number of a name, whatever its case; HEADER_OTHER for one not listed. */
enum header_id headers_id(struct str name);

/* True for a token (RFC 9110 5.6.2), which a name must be. */
bool headers_name_valid(struct str name);

/* True for a value without CR, LF, NUL and other control characters but tab:
 * nothing that could end the field (RFC 9110 5.5). */
bool headers_value_valid(struct str value);

/* False for fields that frame or route a message, which may not stand in a
 * trailer section (RFC 9110 6.5.1). */
bool headers_trailer_allowed(enum header_id id);

/* Adds a field behind the others; the array grows in pool, name and value are
 * borrowed as long as h. */
void headers_add(struct headers *h, struct pool *pool, struct str name,
                 struct str value);

/* The same where the id of name is known already. */
void headers_add_as(struct headers *h, struct pool *pool, enum header_id id,
                    struct str name, struct str value);

/* Adds n fields behind the others, of these ids (a bit for each): the caller
 * fills them, from the place that is returned. */
struct header *headers_extend(struct headers *h, struct pool *pool, unsigned n,
                              uint32_t ids);

/* The slow way of headers_find. */
struct header *headers_find_added(const struct headers *h, enum header_id id,
                                  unsigned from);

/* The first field of that id (not HEADER_OTHER) at or behind index from, or
 * NULL. */
static inline struct header *headers_find(const struct headers *h,
                                          enum header_id id, unsigned from)
{
    return h->ids & 1u << id ? headers_find_added(h, id, from) : NULL;
}

/* The first field of that name at or behind index from, or NULL. */
struct header *headers_get(const struct headers *h, struct str name,
                           unsigned from);

/* Removes all fields of that name, or of that id; returns their count. */
unsigned headers_remove(struct headers *h, struct str name);
unsigned headers_remove_id(struct headers *h, enum header_id id);

/* Says in Vary that the response depends on the request's field of that name
 * (borrowed as long as h), where it does not say so already. */
void headers_vary(struct headers *h, struct pool *pool, struct str name);

/* Returns name in lower case, in pool. */
struct str headers_lower(struct pool *pool, struct str name);

/* True where a comma-separated list (RFC 9110 5.6.1) has token, whatever its
 * case. */
bool headers_has_token(struct str list, struct str token);

#endif
