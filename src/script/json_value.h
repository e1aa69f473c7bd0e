/* The two things that JSON tells apart and Lua does not: null, which a table
 * cannot hold as nil, and the empty array, which is an empty table like the
 * empty object. Used by json_encode.c, json_decode.c and whoever makes values
 * that will be encoded. */
#ifndef SCRIPT_JSON_VALUE_H
#define SCRIPT_JSON_VALUE_H

#include <stdbool.h>

#include "script/compat.h"

/* [-0, +1, m] Pushes json.null, one userdata for each Lua state. */
void json_value_push_null(lua_State *L);

/* [-0, +1, m] Pushes the metatable that marks a table as an array. */
void json_value_push_mark(lua_State *L);

/* [-0, +0, -] True where the value at i is json.null, or the null pointer that
 * lua-cjson has in its place. Needs one free slot. */
bool json_value_is_null(lua_State *L, int i);

/* [-0, +0, -] True where the table at i is marked as an array. Needs two free
 * slots. */
bool json_value_is_marked(lua_State *L, int i);

#endif
