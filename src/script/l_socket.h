/* The connection as scripts see it: req.socket, and what the events connection,
 * clientError and upgrade get. One object for each connection, made when it is
 * first asked for. Its Lua half is lua/luaserve/socket.lua. */
#ifndef SCRIPT_L_SOCKET_H
#define SCRIPT_L_SOCKET_H

#include "script/compat.h"

struct conn;

/* [-0, +1, m] Pushes the object of conn. */
void l_socket_push(lua_State *L, struct conn *conn);

/* [-0, +0, v] The connection of the object at index i; NULL where it is gone.
 */
struct conn *l_socket_conn(lua_State *L, int i);

/* [-0, +0, -] conn, which has one, is gone: tells the object. */
void l_socket_closed(struct conn *conn);

#endif
