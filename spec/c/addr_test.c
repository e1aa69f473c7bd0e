/* Addresses: every form of the text, every way to get it wrong, and the text of
 * peers of each family. */
#include "net/addr.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

/* What addr_parse makes of text: its canonical text, "name", or the reason why
 * not. Valid until the next call. */
static struct str parsed(const char *text)
{
    static char out[ADDR_TEXT_SIZE];
    const char *why = "no reason";
    struct addr addr;

    switch (addr_parse(text, &addr, &why)) {
    case ADDR_OK:
        return str_of(addr_format(&addr, out));
    case ADDR_NAME:
        return STR("name");
    default:
        return str_of(why);
    }
}

static bool fails(const char *text, const char *part)
{
    struct str why = parsed(text);

    return memmem(why.p, why.n, part, strlen(part)) != NULL;
}

static void reads_the_short_forms(void)
{
    CHECK_STR(parsed("8080"), "127.0.0.1:8080");
    CHECK_STR(parsed("0"), "127.0.0.1:0");
    CHECK_STR(parsed(":8080"), "[::]:8080");
    CHECK_STR(parsed("*:65535"), "[::]:65535");
}

static void reads_numeric_addresses(void)
{
    CHECK_STR(parsed("127.0.0.1:8080"), "127.0.0.1:8080");
    CHECK_STR(parsed("0.0.0.0:80"), "0.0.0.0:80");
    CHECK_STR(parsed("255.199.99.9:1"), "255.199.99.9:1");
    CHECK_STR(parsed("[::1]:8080"), "[::1]:8080");
    CHECK_STR(parsed("[2001:DB8:0::1]:443"), "[2001:db8::1]:443");
    CHECK_STR(parsed("[::ffff:10.0.0.1]:80"), "10.0.0.1:80");
}

static void knows_names(void)
{
    char host[ADDR_HOST_SIZE];
    const char *why;
    uint16_t port;

    CHECK_STR(parsed("localhost:8080"), "name");
    CHECK_STR(parsed("a-b_c.example.com:8080"), "name");
    CHECK_INT(addr_split("localhost:8081", host, &port, &why), 0);
    CHECK_STR(str_of(host), "localhost");
    CHECK_INT(port, 8081);
}

static void splits_what_is_no_name_too(void)
{
    char host[ADDR_HOST_SIZE];
    const char *why;
    uint16_t port;

    CHECK_INT(addr_split("[::1]:80", host, &port, &why), 0);
    CHECK_STR(str_of(host), "::1");
    CHECK_INT(addr_split("80", host, &port, &why), 0);
    CHECK_STR(str_of(host), "127.0.0.1");
    CHECK_INT(addr_split(":80", host, &port, &why), 0);
    CHECK_STR(str_of(host), "::");
}

static void says_what_is_wrong(void)
{
    CHECK(fails("", "port is missing"));
    CHECK(fails("localhost", "port is missing"));
    CHECK(fails("127.0.0.1", "port is missing"));
    CHECK(fails("65536", "from 0 to 65535"));
    CHECK(fails("99999999999999999999999", "from 0 to 65535"));
    CHECK(fails("127.0.0.1:", "from 0 to 65535"));
    CHECK(fails("127.0.0.1:80x", "from 0 to 65535"));
    CHECK(fails("127.0.0.1:-1", "from 0 to 65535"));
    CHECK(fails("-80", "port is missing"));
    CHECK(fails("::1:8080", "[::1]:8080"));
    CHECK(fails("[::1]", "[::1]:8080"));
    CHECK(fails("[::1]8080", "[::1]:8080"));
    CHECK(fails("[::1:8080", "[::1]:8080"));
    CHECK(fails("[]:8080", "brackets"));
    CHECK(fails("[127.0.0.1]:8080", "brackets"));
    CHECK(fails("[localhost]:8080", "brackets"));
    CHECK(fails("[*]:8080", "brackets"));
    CHECK(fails("[fe80::1%no-such-if]:80", "brackets"));
    CHECK(fails("256.1.1.1:80", "four numbers"));
    CHECK(fails("127.1:80", "four numbers"));
    CHECK(fails("http://x:80", "scheme"));
    CHECK(fails("/run/app.sock", "unix:"));
    CHECK(fails("a b:80", "neither a name"));
    CHECK(fails("caf\xc3\xa9:80", "neither a name"));
}

static void limits_the_length_of_a_host(void)
{
    char text[300];

    memset(text, 'a', sizeof text);
    memcpy(text + ADDR_HOST_SIZE - 1, ":80", 4);
    CHECK_STR(parsed(text), "name");
    memset(text, 'a', sizeof text);
    memcpy(text + ADDR_HOST_SIZE, ":80", 4);
    CHECK(fails(text, "too long"));
}

static void reads_unix_sockets(void)
{
    char text[200] = "unix:";
    struct addr addr;

    CHECK_STR(parsed("unix:/run/app.sock"), "unix:/run/app.sock");
    CHECK_STR(parsed("unix:a:80"), "unix:a:80");
    CHECK(fails("unix:", "path is missing"));
    memset(text + 5, 'x', 107);
    CHECK(str_eq(parsed(text), str_of(text)));
    text[5 + 107] = 'x';
    CHECK(fails(text, "at most 107 bytes"));
    CHECK_INT(addr_from_path(text, &addr), -1);
    CHECK_INT(errno, ENAMETOOLONG);
    CHECK_INT(addr_from_path("/x", &addr), 0);
    CHECK(addr_is_unix(&addr));
    CHECK_INT(addr_port(&addr), 0);
    addr_set_port(&addr, 80);
    CHECK_INT(addr_port(&addr), 0);
}

static void takes_only_numeric_ips(void)
{
    struct addr addr;

    CHECK_INT(addr_from_ip("::1", 80, &addr), 0);
    CHECK_INT(addr.len, sizeof(struct sockaddr_in6));
    CHECK(!addr_is_unix(&addr));
    CHECK_INT(addr_from_ip("localhost", 80, &addr), -1);
    CHECK_INT(addr_from_ip("", 80, &addr), -1);
    CHECK_INT(addr_from_ip("%", 80, &addr), -1);
    CHECK_INT(addr_from_ip("1.2.3", 80, &addr), -1);
    CHECK_INT(addr_from_ip("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
                           80, &addr),
              -1);
}

static void sets_and_tells_ports(void)
{
    struct addr addr = addr_any(80);

    CHECK_INT(addr_port(&addr), 80);
    addr_set_port(&addr, 65535);
    CHECK_INT(addr_port(&addr), 65535);
    CHECK_INT(addr_from_ip("10.0.0.1", 1, &addr), 0);
    addr_set_port(&addr, 8080);
    CHECK_INT(addr_port(&addr), 8080);
}

static void tells_the_ip_of_peers(void)
{
    char text[ADDR_IP_SIZE];
    struct addr addr;

    addr_from_ip("192.168.0.10", 80, &addr);
    CHECK_STR(str_of(addr_ip(&addr, text)), "192.168.0.10");
    addr_from_ip("::ffff:192.168.0.10", 80, &addr);
    CHECK_STR(str_of(addr_ip(&addr, text)), "192.168.0.10");
    addr_from_ip("::1", 80, &addr);
    CHECK_STR(str_of(addr_ip(&addr, text)), "::1");
    addr_from_path("/x", &addr);
    CHECK_STR(str_of(addr_ip(&addr, text)), "");
}

static void names_the_interface_of_link_local_addresses(void)
{
    char text[ADDR_TEXT_SIZE];
    struct addr addr;

    if (addr_from_ip("fe80::1%lo", 80, &addr) != 0)
        return; /* no interface of that name here */
    CHECK_STR(str_of(addr_format(&addr, text)), "[fe80::1%lo]:80");
    CHECK_INT(addr_from_ip("fe80::1%1", 80, &addr), 0);
    CHECK_INT(addr_from_ip("fe80::1%", 80, &addr), -1);
}

static void formats_a_nameless_unix_peer(void)
{
    char text[ADDR_TEXT_SIZE];
    int ends[2];
    struct addr addr = {.len = sizeof addr.sa};

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_INT(getpeername(ends[0], (struct sockaddr *)&addr.sa, &addr.len), 0);
    CHECK_STR(str_of(addr_format(&addr, text)), "unix:");
    close(ends[0]);
    close(ends[1]);
}

/* The kernel may fill sun_path without leaving room for a NUL. */
static void formats_a_path_without_a_nul(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[ADDR_TEXT_SIZE];
    struct addr addr;

    memset(un.sun_path, 'x', sizeof un.sun_path);
    memset(&addr.sa, 'y', sizeof addr.sa);
    memcpy(&addr.sa, &un, sizeof un);
    addr.len = sizeof un;
    CHECK_INT(strlen(addr_format(&addr, text)), 5 + sizeof un.sun_path);
}

static void resolves_names(void)
{
    char text[ADDR_IP_SIZE];
    struct addr addr;

    CHECK_INT(addr_resolve("127.0.0.1", 8080, &addr), 0);
    CHECK_STR(str_of(addr_ip(&addr, text)), "127.0.0.1");
    CHECK_INT(addr_port(&addr), 8080);
    CHECK_INT(addr_resolve("localhost", 1, &addr), 0);
    addr_ip(&addr, text);
    CHECK(strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0);
    CHECK(addr_resolve("a..b", 1, &addr) != 0);
}

int main(void)
{
    RUN(reads_the_short_forms);
    RUN(reads_numeric_addresses);
    RUN(knows_names);
    RUN(splits_what_is_no_name_too);
    RUN(says_what_is_wrong);
    RUN(limits_the_length_of_a_host);
    RUN(reads_unix_sockets);
    RUN(takes_only_numeric_ips);
    RUN(sets_and_tells_ports);
    RUN(tells_the_ip_of_peers);
    RUN(names_the_interface_of_link_local_addresses);
    RUN(formats_a_nameless_unix_peer);
    RUN(formats_a_path_without_a_nul);
    RUN(resolves_names);
    return test_finish();
}
