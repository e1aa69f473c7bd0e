/* A server as the files of the script side share it: l_server.c makes it,
 * l_exchange.c brings its requests to Lua. */
#ifndef SCRIPT_L_SERVER_H
#define SCRIPT_L_SERVER_H

#include "http/server.h"

/* What a server's function for special things is called for: special(kind,
 * ...) with light userdata that is valid until it returns or waits. */
enum l_server_special {
    L_SERVER_CONNECTION = 1, /* (kind, conn) */
    L_SERVER_REFUSAL = 2,    /* (kind, exchange, status) */
    L_SERVER_UPGRADE = 3     /* (kind, exchange) */
};

struct l_server {
    struct server *server; /* NULL after it has closed */
    struct limits limits;  /* of the next server */
    int entry;             /* slot: function(x), called for each request */
    int special;           /* slot: function(kind, ...) */
    int self;              /* anchors the userdata while the server lives */
    int closed;            /* slot: function(), called when it has closed */
    bool tells[4];         /* by l_server_special: somebody listens */
};

#endif
