/* Addresses as text and as sockaddr. The grammar is small and strict, so that
 * a typing error is told as such and never becomes a look-up of a strange name:
 * a host of digits and dots must be an IPv4 address, an IPv6 address stands in
 * brackets. IPv4 is printed by hand because inet_ntop goes through printf, and
 * the IP of a peer is wanted for every line of an access log. Left out:
 * abstract Unix sockets, port names ("http"), addresses beyond a name's first.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const char DIGITS[] = "0123456789";
static const char NAME_BYTES[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_";

static const struct sockaddr_in *as_in(const struct addr *addr)
{
    return (const void *)&addr->sa;
}

static const struct sockaddr_in6 *as_in6(const struct addr *addr)
{
    return (const void *)&addr->sa;
}

int addr_parse_port(const char *text, uint16_t *port)
{
    unsigned long n = 0;
    size_t i;

    for (i = 0; text[i] >= '0' && text[i] <= '9' && n <= UINT16_MAX; i++)
        n = n * 10 + (unsigned long)(text[i] - '0');
    if (i == 0 || text[i] != '\0' || n > UINT16_MAX)
        return -1;
    *port = (uint16_t)n;
    return 0;
}

static int copy_host(const char *host, size_t n, char *out, const char **why)
{
    if (n >= ADDR_HOST_SIZE) {
        *why = "the host name is too long";
        return -1;
    }
    memcpy(out, host, n);
    out[n] = '\0';
    return 0;
}

/* Finds where the host of text begins and ends; returns the text of the port,
 * or NULL and *why. */
static const char *find_port(const char *text, const char **host, size_t *n,
                             const char **why)
{
    const char *end;

    if (text[0] == '[') {
        end = strchr(text, ']');
        *host = text + 1;
        *n = end ? (size_t)(end - *host) : 0;
        *why = "an IPv6 address is written [::1]:8080";
        return end && end[1] == ':' ? end + 2 : NULL;
    }
    end = strrchr(text, ':');
    *host = text;
    *n = end ? (size_t)(end - text) : 0;
    if (strstr(text, "://"))
        *why = "an address has no scheme and no path, as in 127.0.0.1:8080";
    else if (strchr(text, '/'))
        *why = "a Unix socket is written unix:/run/app.sock";
    else if (end == NULL)
        *why = "the port is missing, as in 127.0.0.1:8080";
    else if (strchr(text, ':') != end)
        *why = "an IPv6 address is written [::1]:8080";
    else
        return end + 1;
    return NULL;
}

int addr_split(const char *text, char host[static ADDR_HOST_SIZE],
               uint16_t *port, const char **why)
{
    const char *start = "127.0.0.1", *digits = text;
    size_t n = strlen(start);

    if (text[0] == '\0' || text[strspn(text, DIGITS)] != '\0') {
        digits = find_port(text, &start, &n, why);
        if (digits == NULL)
            return -1;
        if (text[0] != '[' && (n == 0 || (n == 1 && *start == '*'))) {
            start = "::";
            n = strlen(start);
        }
    }
    if (addr_parse_port(digits, port) != 0) {
        *why = "a port is a number from 0 to 65535, as in 127.0.0.1:8080";
        return -1;
    }
    return copy_host(start, n, host, why);
}

static enum addr_result parse_unix(const char *path, struct addr *out,
                                   const char **why)
{
    if (addr_from_path(path, out) == 0)
        return ADDR_OK;
    *why = errno == ENOENT ? "the path is missing, as in unix:/run/app.sock"
                           : "the path of a Unix socket has at most 107 bytes";
    return ADDR_ERROR;
}

enum addr_result addr_parse(const char *text, struct addr *out,
                            const char **why)
{
    char host[ADDR_HOST_SIZE];
    uint16_t port;

    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out, why);
    if (addr_split(text, host, &port, why) != 0)
        return ADDR_ERROR;
    if (text[0] != '[' || strchr(host, ':')) {
        if (addr_from_ip(host, port, out) == 0)
            return ADDR_OK;
    }
    if (text[0] == '[')
        *why = "in brackets stands an IPv6 address, as in [::1]:8080";
    else if (host[strspn(host, "0123456789.")] == '\0')
        *why = "an IPv4 address has four numbers up to 255, as in "
               "127.0.0.1:8080";
    else if (host[strspn(host, NAME_BYTES)] != '\0')
        *why = "the host is neither a name nor an IP address, as in "
               "localhost:8080";
    else
        return ADDR_NAME;
    return ADDR_ERROR;
}

/* The number of the interface of a zone ("eth0" or "2"), or 0. */
static uint32_t zone_of(const char *zone)
{
    uint16_t n;

    return addr_parse_port(zone, &n) == 0 ? n : if_nametoindex(zone);
}

static int from_ip6(const char *ip, uint16_t port, struct addr *out)
{
    struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
                                .sin6_port = htons(port)};
    const char *zone = strchr(ip, '%');
    size_t n = zone ? (size_t)(zone - ip) : strlen(ip);
    char text[INET6_ADDRSTRLEN];

    if (n >= sizeof(text))
        return -1;
    memcpy(text, ip, n);
    text[n] = '\0';
    if (inet_pton(AF_INET6, text, &sin6.sin6_addr) != 1)
        return -1;
    if (zone && (sin6.sin6_scope_id = zone_of(zone + 1)) == 0)
        return -1;
    memcpy(&out->sa, &sin6, sizeof(sin6));
    out->len = sizeof(sin6);
    return 0;
}

int addr_from_ip(const char *ip, uint16_t port, struct addr *out)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, ip, &sin.sin_addr) != 1)
        return from_ip6(ip, port, out);
    memcpy(&out->sa, &sin, sizeof(sin));
    out->len = sizeof(sin);
    return 0;
}

int addr_from_path(const char *path, struct addr *out)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(un.sun_path)) {
        errno = n ? ENAMETOOLONG : ENOENT;
        return -1;
    }
    memcpy(un.sun_path, path, n + 1);
    memset(out, 0, sizeof(*out));
    memcpy(&out->sa, &un, sizeof(un));
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

struct addr addr_any(uint16_t port)
{
    struct addr addr;

    addr_from_ip("::", port, &addr);
    return addr;
}

int addr_resolve(const char *host, uint16_t port, struct addr *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(host, NULL, &hints, &list);

    if (error)
        return error;
    memset(out, 0, sizeof(*out));
    memcpy(&out->sa, list->ai_addr, list->ai_addrlen);
    out->len = list->ai_addrlen;
    freeaddrinfo(list);
    addr_set_port(out, port);
    return 0;
}

bool addr_is_unix(const struct addr *addr)
{
    return addr->sa.ss_family == AF_UNIX;
}

uint16_t addr_port(const struct addr *addr)
{
    if (addr->sa.ss_family == AF_INET)
        return ntohs(as_in(addr)->sin_port);
    if (addr->sa.ss_family == AF_INET6)
        return ntohs(as_in6(addr)->sin6_port);
    return 0;
}

void addr_set_port(struct addr *addr, uint16_t port)
{
    if (addr->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)&addr->sa)->sin_port = htons(port);
    else if (addr->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)&addr->sa)->sin6_port = htons(port);
}

static char *put_octet(char *out, unsigned n)
{
    if (n >= 100)
        *out++ = (char)('0' + n / 100);
    if (n >= 10)
        *out++ = (char)('0' + n / 10 % 10);
    *out++ = (char)('0' + n % 10);
    return out;
}

static void format_ip4(const unsigned char octets[static 4], char *out)
{
    for (int i = 0; i < 4; i++) {
        out = put_octet(out, octets[i]);
        *out++ = '.';
    }
    out[-1] = '\0';
}

/* A link-local address means nothing without its interface (RFC 4007 11). */
static void format_ip6(const struct sockaddr_in6 *sin6, char *out)
{
    char zone[IF_NAMESIZE];

    inet_ntop(AF_INET6, &sin6->sin6_addr, out, INET6_ADDRSTRLEN);
    if (sin6->sin6_scope_id == 0 || !IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
        return;
    if (if_indextoname(sin6->sin6_scope_id, zone) == NULL)
        return;
    strcat(out, "%");
    strcat(out, zone);
}

const char *addr_ip(const struct addr *addr, char text[static ADDR_IP_SIZE])
{
    const struct in6_addr *in6 = &as_in6(addr)->sin6_addr;

    text[0] = '\0';
    if (addr->sa.ss_family == AF_INET)
        format_ip4((const void *)&as_in(addr)->sin_addr, text);
    else if (addr->sa.ss_family != AF_INET6)
        return text;
    else if (IN6_IS_ADDR_V4MAPPED(in6))
        format_ip4(in6->s6_addr + 12, text);
    else
        format_ip6(as_in6(addr), text);
    return text;
}

/* The peer of a Unix socket mostly has no name, and a path that fills sun_path
 * has no NUL (unix(7)). */
static void format_unix(const struct addr *addr, char *text)
{
    const struct sockaddr_un *un = (const void *)&addr->sa;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = addr->len > head ? addr->len - head : 0;

    snprintf(text, ADDR_TEXT_SIZE, "unix:%.*s", (int)n, un->sun_path);
}

const char *addr_format(const struct addr *addr,
                        char text[static ADDR_TEXT_SIZE])
{
    char ip[ADDR_IP_SIZE];
    unsigned port = addr_port(addr);

    if (addr_is_unix(addr))
        format_unix(addr, text);
    else if (strchr(addr_ip(addr, ip), ':'))
        snprintf(text, ADDR_TEXT_SIZE, "[%s]:%u", ip, port);
    else
        snprintf(text, ADDR_TEXT_SIZE, "%s:%u", ip, port);
    return text;
}
