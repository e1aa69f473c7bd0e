/* Values of Lua as bytes, for the store: strings, numbers, booleans, json.null
 * and tables of these within each other. Bytes of Lua 5.4 are read by LuaJIT
 * and the other way round. Used by l_store. */
#ifndef SCRIPT_STORE_VALUE_H
#define SCRIPT_STORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/str.h"
#include "script/compat.h"

enum { STORE_VALUE_DEPTH = 100 }; /* tables within each other */

/* [-0, +0, -] Adds the value at i to out. Returns 0; or -1 where it cannot be,
 * and then what was added is the message instead: "a function at .user.name
 * cannot be kept". Runs no Lua code; takes tables as they are, whatever their
 * metatables say. */
int store_value_encode(lua_State *L, int i, struct bytes *out);

/* [-0, +1, m] Pushes the value that the n bytes at p are. Returns 0, or -1 and
 * pushes nothing where they are none. */
int store_value_decode(lua_State *L, const char *p, size_t n);

/* [-0, +(0|1), m] Pushes the first value of rest, and takes its bytes off.
 * False, and nothing pushed, where there is none. */
bool store_value_next(lua_State *L, struct str *rest);

/* [-0, +0, m] Whether the value at i is the first one of bytes. What is not the
 * same by its bytes may be in a rare case: where a list has holes. */
bool store_value_same(lua_State *L, int i, struct str bytes);

/* Where the n bytes at p are a number: 1 and *integer, 2 and *real; else 0. */
int store_value_number(const char *p, size_t n, int64_t *integer, double *real);

/* Adds the start of a list of n values to out. */
void store_value_put_list(struct bytes *out, size_t n);

/* Adds a number to out. */
void store_value_put_integer(struct bytes *out, int64_t integer);
void store_value_put_real(struct bytes *out, double real);

#endif
