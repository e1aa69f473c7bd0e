/* Sessions live in tickets alone: a cache here would grow with every client
 * (CVE-2024-2511) and would be one process's. Keys are HMAC(seed, number of the
 * period), so that sharing is one secret and no conversation; without sharing
 * the seed is drawn anew for each period, so that what leaks later opens
 * nothing older. Sealing is RFC 5077's recommended AES-CBC and HMAC-SHA256. */
#include "net/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { NAME = 16, CIPHER_KEY = 32, MAC_KEY = 32, IV = 16 };

struct key {
    unsigned char name[NAME], cipher[CIPHER_KEY], mac[MAC_KEY];
};

static struct {
    unsigned char seed[TLS_TICKET_SEED_SIZE];
    bool ready, shared; /* shared: the seed was given to us or by us */
    int64_t period;     /* of keys[0] */
    struct key keys[2]; /* this period's, and the last one's */
} tickets;

/* Part i of the key of a period: 32 bytes at out. */
static void derive_part(int64_t period, unsigned char i, unsigned char *out)
{
    unsigned char text[9] = {i};

    for (int byte = 0; byte < 8; byte++)
        text[1 + byte] = (unsigned char)((uint64_t)period >> (8 * byte));
    HMAC(EVP_sha256(), tickets.seed, sizeof tickets.seed, text, sizeof text,
         out, NULL);
}

static void derive(struct key *key, int64_t period)
{
    unsigned char name[32];

    derive_part(period, 0, name);
    memcpy(key->name, name, sizeof key->name);
    derive_part(period, 1, key->cipher);
    derive_part(period, 2, key->mac);
}

static void draw_seed(void)
{
    RAND_bytes(tickets.seed, sizeof tickets.seed);
}

/* Brings the keys to the period that it is now. */
static void turn(void)
{
    int64_t now = (int64_t)time(NULL) / TLS_TICKET_PERIOD;

    if (tickets.ready && tickets.period == now)
        return;
    if (!tickets.ready && !tickets.shared)
        draw_seed();
    if (tickets.shared || !tickets.ready) {
        derive(&tickets.keys[1], now - 1);
        derive(&tickets.keys[0], now);
    } else {
        tickets.keys[1] = tickets.keys[0];
        draw_seed();
        derive(&tickets.keys[0], now);
    }
    tickets.ready = true;
    tickets.period = now;
}

void tls_ticket_seed(const unsigned char *seed)
{
    memcpy(tickets.seed, seed, sizeof tickets.seed);
    tickets.shared = true;
    tickets.ready = false;
}

void tls_ticket_export(unsigned char *out)
{
    turn();
    tickets.shared = true;
    memcpy(out, tickets.seed, sizeof tickets.seed);
}

/* Gives the key to both contexts. Returns whether OpenSSL took it. */
static bool use(const struct key *key, const unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
    static char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                          (void *)(uintptr_t)key->mac, MAC_KEY),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    return EVP_MAC_CTX_set_params(mac, params) == 1 &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv,
                             seal) == 1;
}

/* Returns 1 where the key was set, 2 where the client should also get a fresh
 * ticket, 0 where the ticket is not one of ours, -1 on failure. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
    int i;

    (void)ssl;
    turn();
    if (seal) {
        if (RAND_bytes(iv, IV) != 1)
            return -1;
        memcpy(name, tickets.keys[0].name, NAME);
        return use(&tickets.keys[0], iv, cipher, mac, 1) ? 1 : -1;
    }
    for (i = 0; i < 2; i++)
        if (memcmp(name, tickets.keys[i].name, NAME) == 0)
            return use(&tickets.keys[i], iv, cipher, mac, 0) ? 1 + i : -1;
    return 0;
}

void tls_ticket_install(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TLS_TICKET_PERIOD);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
