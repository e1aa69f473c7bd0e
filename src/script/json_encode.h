/* From Lua values to JSON text (RFC 8259). Used by l_json.c, and by whoever
 * writes JSON to somewhere else than a Lua string. */
#ifndef SCRIPT_JSON_ENCODE_H
#define SCRIPT_JSON_ENCODE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "script/compat.h"

enum {
    JSON_ENCODE_DEPTH = 1000,           /* tables within each other */
    JSON_ENCODE_MAX = 256 * 1024 * 1024 /* bytes of text, about: a table that
                                           holds another many times over, at
                                           many levels, stops here */
};

enum { JSON_ENCODE_SORT = 1 }; /* flag: members in the order of their names */

/* [-0, +0, -] Adds the value at i to out as JSON. Returns 0; or -1 where it
 * cannot be, and then what was added is the message instead, like "json: cannot
 * encode a function at .users[3].callback". Runs no Lua code, ignores
 * metamethods, never raises. */
int json_encode(lua_State *L, int i, struct bytes *out, int flags);

/* [-0, +0, -] True where the table at i is written as an array: its keys are 1
 * to n, or it is empty and marked. Needs two free slots. */
bool json_encode_is_array(lua_State *L, int i);

#endif
