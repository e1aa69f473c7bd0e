/* A file as the answer of an exchange: status and fields by the request's
 * conditions and ranges, then the bytes, from memory, by sendfile, or in pieces
 * that are read, where the wire has to change them. Used by script/l_static.c.
 *
 *   switch (sending_begin(x, f, &options)) {
 *   case SENDING_DONE: ...      all is queued, or nothing is left to be done
 *   case SENDING_FULL: ...      go on with sending_step after on_drain, which
 *                               codec->want_drain asks for
 *   case SENDING_READ: ...      call sending_read on a thread, then
 * sending_step
 *   }
 */
#ifndef HTTP_SENDING_H
#define HTTP_SENDING_H

#include "http/exchange.h"
#include "http/file.h"

enum { SENDING_PIECE = 64 * 1024 }; /* bytes that one read brings to memory */

enum sending_state { SENDING_DONE, SENDING_FULL, SENDING_READ };

struct sending_options {
    int status;               /* 200, else conditions and ranges do not apply */
    struct str cache_control; /* empty: none */
    bool tags, dates, ranges; /* ETag, Last-Modified, Accept-Ranges */
    struct str tail; /* stands behind pages of HTML (borrowed; empty: nothing),
                        which are sent whole then, and not to be kept */
};

/* Answers x with f (held meanwhile), or its sibling that the client wants most.
 * Fields that the handler has set stay. now: wall clock. */
enum sending_state sending_begin(struct exchange *x, struct file *f,
                                 const struct sending_options *options,
                                 time_t now);

/* Goes on. */
enum sending_state sending_step(struct exchange *x);

/* Reads the next piece; on a thread, while nobody else uses x. */
void sending_read(struct exchange *x);

/* Lets go of what x holds for sending. */
void sending_drop(struct exchange *x);

#endif
