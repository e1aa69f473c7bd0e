/* Puts the members of an object, already written, into the order of their
 * names. Used by json_encode.c, which notes each member after it has written it
 * and asks for the order when the object ends; objects within it come between,
 * so the notes are a stack. */
#ifndef SCRIPT_JSON_MEMBERS_H
#define SCRIPT_JSON_MEMBERS_H

#include <stddef.h>

#include "base/bytes.h"

struct json_members {
    struct bytes notes;   /* of all objects that have begun */
    struct bytes scratch; /* the members in order, before they are put back */
};

/* Makes an empty stack; allocates nothing. */
void json_members_init(struct json_members *m);

/* Frees what m holds. */
void json_members_clear(struct json_members *m);

/* Returns where the notes of an object that begins now will begin. */
size_t json_members_begin(const struct json_members *m);

/* Notes a member that stands at start to end in the output. name (borrowed
 * until the object ends) has n bytes; it is NULL where the key was a number,
 * whose digits are then read from the output, behind the quote at start. */
void json_members_add(struct json_members *m, const char *name, size_t n,
                      size_t start, size_t end);

/* Ends the object whose notes began at begin: sorts its members, each of which
 * has a comma behind it, where they stand in out, by the bytes of their names.
 */
void json_members_end(struct json_members *m, size_t begin, struct bytes *out);

#endif
