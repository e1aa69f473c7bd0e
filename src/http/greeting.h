/* What is spoken on a connection, and how that is found out: by ALPN where it
 * is encrypted. Until the handshake is over a connection is ours. Used by
 * server and, for what is offered, by the script side. */
#ifndef HTTP_GREETING_H
#define HTTP_GREETING_H

#include "base/str.h"
#include "net/conn.h"
#include "net/tls_server.h"

/* Opens fd, accepted from peer, as conn_open does, with owner (a struct
 * server); over TLS where tls is given, whose handshake must be complete after
 * timeout seconds. */
struct conn *greeting_open(struct loop *loop, int fd, const struct addr *peer,
                           struct list *list, void *owner,
                           struct tls_server *tls, double timeout);

/* Has tls offer everything that we speak, the best first, and answer those who
 * speak no TLS. */
void greeting_offer(struct tls_server *tls);

/* Whether we speak the protocol of that ALPN name. */
bool greeting_speaks(struct str name);

#endif
