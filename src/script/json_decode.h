/* From JSON text to Lua values (RFC 8259). Used by l_json.c, and by whoever
 * has a body to decode without making a Lua string of it first. */
#ifndef SCRIPT_JSON_DECODE_H
#define SCRIPT_JSON_DECODE_H

#include <stddef.h>

#include "script/compat.h"

enum { JSON_DECODE_DEPTH = 1000 }; /* arrays and objects within each other */

/* [-0, +1, m] Reads the n bytes at text (borrowed until it returns; text[n]
 * must be readable and 0, as behind a Lua string) and pushes the value, with
 * json.null for null and the mark of json.array on every array. Returns 0; or
 * -1 where text is not JSON, and then the message is pushed instead, like
 * "json: line 1 column 5: expected ',' or '}' (byte 5)". */
int json_decode(lua_State *L, const char *text, size_t n);

#endif
