/* An address to listen on, or of a peer: IPv4, IPv6 or a Unix socket. Turns
 * text into addresses and back. Used by options, the listeners, connections
 * and the script side. Nothing here blocks but addr_resolve, which belongs on
 * the thread pool (net/work.h). */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    ADDR_TEXT_SIZE = 128, /* the longest text of addr_format, NUL included */
    ADDR_IP_SIZE = 64,    /* the longest text of addr_ip, NUL included */
    ADDR_HOST_SIZE = 256  /* a host name (RFC 1035 2.3.4) and its NUL */
};

struct addr {
    struct sockaddr_storage sa;
    socklen_t len; /* bytes of sa in use */
};

enum addr_result { ADDR_ERROR = -1, ADDR_OK, ADDR_NAME };

/* Reads an address to listen on: "8080" (on 127.0.0.1), "127.0.0.1:8080",
 * "[::1]:8080", ":8080" or "*:8080" (all interfaces), "unix:/run/app.sock".
 * ADDR_OK sets *out. ADDR_NAME: the host is a name; take it apart with
 * addr_split and look it up with addr_resolve. ADDR_ERROR sets *why to a
 * phrase that says what is wrong (static). */
enum addr_result addr_parse(const char *text, struct addr *out,
                            const char **why);

/* Takes "HOST:PORT" and the short forms of addr_parse, but not unix:, apart.
 * host gets a name or an IP without brackets. Returns 0, or -1 and *why. */
int addr_split(const char *text, char host[static ADDR_HOST_SIZE],
               uint16_t *port, const char **why);

/* Reads decimal digits as a port. Returns 0, or -1 where text is no number
 * from 0 to 65535. */
int addr_parse_port(const char *text, uint16_t *port);

/* Makes an address of a numeric IP ("127.0.0.1", "::1", "fe80::1%eth0").
 * Returns 0, or -1 where ip is something else. */
int addr_from_ip(const char *ip, uint16_t port, struct addr *out);

/* Makes the address of a Unix socket. Returns 0, or -1 with errno ENAMETOOLONG
 * (over 107 bytes) or ENOENT (empty). */
int addr_from_path(const char *path, struct addr *out);

/* All interfaces: "::", which takes IPv4 too where the listener clears
 * IPV6_V6ONLY. A machine without IPv6 needs addr_from_ip("0.0.0.0"). */
struct addr addr_any(uint16_t port);

/* Looks host up with getaddrinfo and takes the first answer, in the system's
 * order. Blocks. Returns 0, or an EAI_ code for gai_strerror (EAI_SYSTEM: the
 * reason is in errno). */
int addr_resolve(const char *host, uint16_t port, struct addr *out);

/* True for a Unix socket. */
bool addr_is_unix(const struct addr *addr);

/* The port; 0 for a Unix socket. */
uint16_t addr_port(const struct addr *addr);

/* Sets the port; a Unix socket stays as it is. */
void addr_set_port(struct addr *addr, uint16_t port);

/* Writes "127.0.0.1:8080", "[::1]:8080" or "unix:/path"; returns text. An
 * IPv4 peer of an IPv6 socket is written as IPv4; the nameless peer of a Unix
 * socket is "unix:". */
const char *addr_format(const struct addr *addr,
                        char text[static ADDR_TEXT_SIZE]);

/* Writes the IP alone, without brackets, and "::ffff:1.2.3.4" as "1.2.3.4";
 * "" for a Unix socket. Returns text. */
const char *addr_ip(const struct addr *addr, char text[static ADDR_IP_SIZE]);

#endif
