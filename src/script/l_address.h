/* Addresses as Lua sees them: read from the arguments of listen, given back as
 * Node gives them. Used by l_server.c and l_bound.c. */
#ifndef SCRIPT_L_ADDRESS_H
#define SCRIPT_L_ADDRESS_H

#include "net/addr.h"
#include "script/compat.h"

/* [-0, +0, v] Reads the address at index i: (path), (ip, port) or (nil, port).
 * Returns 0, or -1 where ip is a name. */
int l_address_read(lua_State *L, int i, struct addr *addr);

/* [-0, +1, m] {family, address, port}, or the path of a Unix socket. */
void l_address_push(lua_State *L, const struct addr *addr);

/* [-0, +3, m] Where it was, for a message as Node's ("listen EADDRINUSE: ...
 * :::80"), then the address and the port, nil for a path. */
void l_address_push_place(lua_State *L, const struct addr *addr);

#endif
