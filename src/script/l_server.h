/* A server as the files of the script side share it: l_server.c makes it,
 * l_exchange.c brings its requests to Lua. */
#ifndef SCRIPT_L_SERVER_H
#define SCRIPT_L_SERVER_H

#include "http/server.h"
#include "script/compat.h"

/* What a server's function for special things is called for: special(kind,
 * ...) with light userdata that is valid until it returns or waits. */
enum l_server_special {
    L_SERVER_CONNECTION = 1, /* (kind, conn) */
    L_SERVER_REFUSAL = 2,    /* (kind, exchange, status) */
    L_SERVER_UPGRADE = 3,    /* (kind, exchange) */
    L_SERVER_NAME = 4,       /* (kind, id), see l_tls.c */
    L_SERVER_FAILURE = 5,    /* (kind, ip, why), strings; of a handshake */
    L_SERVER_MISUSE = 6      /* (kind, context, what), see l_misuse.c */
};

struct l_server {
    struct server *server;  /* NULL after it has closed */
    bool proxied;           /* see http/proxied.h */
    struct tls_server *tls; /* NULL: no encryption; owned */
    struct limits limits;   /* of the next server */
    int entry;              /* slot: function(x), called for each request */
    int special;            /* slot: function(kind, ...) */
    int self;               /* anchors the userdata while the server lives */
    int closed;             /* slot: function(), called when it has closed */
    bool tells[6];          /* by l_server_special: somebody listens */
};

/* [-0, +0, v] The server at index i, a handle. */
struct l_server *l_server_check(lua_State *L, int i);

/* [-0, +0, v] The server of the handle at index i > 0, which need not listen.
 */
struct server *l_server_ready(lua_State *L, int i);

#endif
