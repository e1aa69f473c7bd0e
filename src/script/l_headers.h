/* The header methods of res, and the checks that everything goes through that
 * a script puts into a head. Used by l_response. */
#ifndef SCRIPT_L_HEADERS_H
#define SCRIPT_L_HEADERS_H

#include "http/exchange.h"
#include "script/compat.h"

/* setHeader, getHeader, ... for the method table of res. */
extern const luaL_Reg l_headers_methods[];

/* [-0, +2, m] What methods answer when the exchange is gone: nil, "closed". */
int l_headers_closed(lua_State *L);

/* [-0, +0, v] The exchange of res, at index 1, while its head can be changed;
 * NULL when it is gone, or was answered by the runtime after a failure. Raises
 * when the script has sent the head: "Cannot set headers after they are sent to
 * the client", with that verb. */
struct exchange *l_headers_settable(lua_State *L, const char *verb);

/* [-0, +0, -] The string at index i, borrowed from Lua. */
struct str l_headers_text(lua_State *L, int i);

/* [-0, +0, v] The name of a field at index i; raises where it is no token. */
struct str l_headers_name(lua_State *L, int i);

/* [-0, +0, v] The value at index i as text, without white space around it;
 * whole numbers print without a fraction. Replaces the value on the stack where
 * it has to be converted. Raises where it could end the field. */
struct str l_headers_value(lua_State *L, int i, struct str name);

/* [-0, +0, v] Sets every pair of the table at t: {name = value}, or the list
 * {"Name", "value", ...}, where a repeated name is a repeated field. */
void l_headers_merge(lua_State *L, struct exchange *x, int t);

#endif
