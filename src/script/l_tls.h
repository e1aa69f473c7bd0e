/* The TLS side of a server's handle: made when a script first gives the handle
 * a certificate, freed with it. Used by l_server. */
#ifndef SCRIPT_L_TLS_H
#define SCRIPT_L_TLS_H

#include "net/tls_server.h"
#include "script/compat.h"

struct l_server;

/* [-0, +0, v] The TLS side of the handle at index i, made where it has none
 * yet: what the handle accepts from now on is encrypted. */
struct tls_server *l_tls_of(lua_State *L, int i);

/* Frees that of s, if it has one. */
void l_tls_free(struct l_server *s);

#endif
