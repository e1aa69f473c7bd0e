/* What a socket tells of its TLS: the fields that Node's TLSSocket has, and its
 * methods. Used by l_socket and l_tls. */
#ifndef SCRIPT_L_TLS_PEER_H
#define SCRIPT_L_TLS_PEER_H

#include "script/compat.h"

struct conn;

/* [-0, +0, m] Sets authorized, authorizationError, alpnProtocol and servername
 * of the table on top; nothing where conn is not encrypted. */
void l_tls_peer_describe(lua_State *L, const struct conn *conn);

/* [-0, +0, m] Sets methods of the table on top: getPeerCertificate, getCipher,
 * getProtocol and isSessionReused, for sockets. */
void l_tls_peer_open(lua_State *L);

#endif
