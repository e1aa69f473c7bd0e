/* Certificates for development (--tls dev): an authority of the user's own,
 * made once, that can vouch for localhost alone, and a certificate that it
 * signs. */
#ifndef NET_TLS_DEV_H
#define NET_TLS_DEV_H

#include <stdbool.h>

enum {
    TLS_DEV_ERROR = 512,      /* bytes of a message */
    TLS_DEV_PATH = 4096,      /* bytes of a path */
    TLS_DEV_CA_DAYS = 3650,   /* the authority's life */
    TLS_DEV_CERT_DAYS = 397,  /* as long as browsers take them */
    TLS_DEV_RENEWAL_DAYS = 30 /* made anew when it has less left */
};

/* Makes, in folder (which is there), what is missing of ca.pem, ca.key,
 * localhost.pem and localhost.key, or is about to expire. Keys are for the user
 * alone. *fresh: the authority is new, and nobody trusts it yet. Returns 0, or
 * -1 with one line in error (TLS_DEV_ERROR bytes). */
int tls_dev_make(const char *folder, bool *fresh, char *error);

#endif
