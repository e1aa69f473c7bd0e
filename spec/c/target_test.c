/* The request-target: its forms, what is malformed, paths that try to leave the
 * root, hosts, and queries read as Node's querystring reads them. */
#include "http/target.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "test.h"

static struct pool pool;
static struct target t;

static int parse(const char *method, const char *raw)
{
    return target_parse(str_of(method), str_of(raw), &t);
}

static void parses_the_origin_form(void)
{
    CHECK_INT(parse("GET", "/a/b?x=1&y=?/2"), 0);
    CHECK_INT(t.form, TARGET_ORIGIN);
    CHECK_STR(t.path, "/a/b");
    CHECK_STR(t.query, "x=1&y=?/2");
    CHECK(t.has_query && t.scheme.n == 0 && t.authority.n == 0);
    CHECK_INT(parse("GET", "/"), 0);
    CHECK_STR(t.path, "/");
    CHECK(!t.has_query && t.query.n == 0);
    CHECK_INT(parse("GET", "/?"), 0);
    CHECK_STR(t.path, "/");
    CHECK(t.has_query && t.query.n == 0);
    CHECK_INT(parse("GET", "//host/x"), 0);
    CHECK_INT(t.form, TARGET_ORIGIN);
    CHECK_STR(t.path, "//host/x");
    CHECK_INT(parse("OPTIONS", "/x"), 0);
    CHECK_STR(t.path, "/x");
}

static void parses_the_absolute_form(void)
{
    CHECK_INT(parse("GET", "http://example.com:81/a?b"), 0);
    CHECK_INT(t.form, TARGET_ABSOLUTE);
    CHECK_STR(t.scheme, "http");
    CHECK_STR(t.authority, "example.com:81");
    CHECK_STR(t.path, "/a");
    CHECK_STR(t.query, "b");
    CHECK_INT(parse("GET", "HTTPS://[::1]"), 0);
    CHECK_STR(t.scheme, "HTTPS");
    CHECK_STR(t.authority, "[::1]");
    CHECK_STR(t.path, "/");
    CHECK(!t.has_query);
    CHECK_INT(parse("GET", "http://h?q"), 0);
    CHECK_STR(t.authority, "h");
    CHECK_STR(t.path, "/");
    CHECK_STR(t.query, "q");
}

static void takes_options_on_a_bare_origin_for_the_asterisk(void)
{
    CHECK_INT(parse("OPTIONS", "http://h:8001"), 0);
    CHECK_INT(t.form, TARGET_ABSOLUTE);
    CHECK_STR(t.path, "*");
    CHECK_INT(parse("OPTIONS", "http://h/"), 0);
    CHECK_STR(t.path, "/");
    CHECK_INT(parse("OPTIONS", "http://h?"), 0);
    CHECK_STR(t.path, "/");
}

static void parses_asterisk_for_options_alone(void)
{
    CHECK_INT(parse("OPTIONS", "*"), 0);
    CHECK_INT(t.form, TARGET_ASTERISK);
    CHECK_STR(t.path, "*");
    CHECK_INT(parse("GET", "*"), -1);
    CHECK_INT(parse("options", "*"), -1);
    CHECK_INT(parse("OPTIONS", "*x"), -1);
    CHECK_INT(parse("OPTIONS", "*?q"), -1);
}

static void parses_authority_for_connect_alone(void)
{
    CHECK_INT(parse("CONNECT", "example.com:443"), 0);
    CHECK_INT(t.form, TARGET_AUTHORITY);
    CHECK_STR(t.authority, "example.com:443");
    CHECK_INT(t.path.n, 0);
    CHECK_INT(parse("CONNECT", "[2001:db8::1]:443"), 0);
    CHECK_INT(parse("CONNECT", "example.com"), -1);
    CHECK_INT(parse("CONNECT", "example.com:"), -1);
    CHECK_INT(parse("CONNECT", "example.com:0"), -1);
    CHECK_INT(parse("CONNECT", "example.com:65536"), -1);
    CHECK_INT(parse("CONNECT", ":443"), -1);
    CHECK_INT(parse("CONNECT", "[::1]"), -1);
    CHECK_INT(parse("CONNECT", "u@h:443"), -1);
    CHECK_INT(parse("CONNECT", "/"), -1);
    CHECK_INT(parse("CONNECT", "*"), -1);
    CHECK_INT(parse("CONNECT", "http://h:80/"), -1);
    CHECK_INT(parse("GET", "example.com:443"), -1);
}

static void refuses_malformed_targets(void)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "index.html",
                                      "?q",
                                      "#",
                                      "/#f",
                                      "/a#f",
                                      "/?a#f",
                                      "/a b",
                                      "/a\tb",
                                      "/\x01",
                                      "/\x7f",
                                      "/\xc3\xa9",
                                      "/?\xff",
                                      "/a\"b",
                                      "/<a>",
                                      "/a\\b",
                                      "/{a}",
                                      "/`",
                                      "/?\"",
                                      "/?<",
                                      "http:",
                                      "http:/",
                                      "http:/x",
                                      "http://",
                                      "http:///x",
                                      "http://?q",
                                      "http://u@h/",
                                      "http://u:p@h/",
                                      "://h/",
                                      "1http://h/",
                                      "+http://h/",
                                      "ht tp://h/",
                                      "http//h/",
                                      "urn:a:b",
                                      "http://h:x/",
                                      "http://h:70000/",
                                      "http://[::1/",
                                      "http://[::g]/",
                                      "http://h#f",
                                      "http://h\\@x/",
                                      "http://a b/",
                                      "\\\\h\\x"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse("GET", bad[i]) != -1)
            CHECK_STR(str_of(bad[i]), "refused");
    CHECK_INT(target_parse(STR("GET"), STR("/\0"), &t), -1);
    CHECK_INT(target_parse(STR("GET"), (struct str){NULL, 0}, &t), -1);
}

static void accepts_what_browsers_send(void)
{
    CHECK_INT(parse("GET", "/a|b^[c]'(d)!$&*+,;=:@~%zz"), 0);
    CHECK_INT(parse("GET", "/?a[]={b}|`c`^\\d'"), 0);
    CHECK_STR(t.query, "a[]={b}|`c`^\\d'");
}

/* The safe path, or "refused". */
static struct str path(struct str raw)
{
    struct str out;

    return target_path(&pool, raw, &out) < 0 ? STR("refused") : out;
}

static void leaves_plain_paths_as_they_are(void)
{
    struct str raw = STR("/a/b.c//d"), out;

    CHECK_INT(target_path(&pool, raw, &out), 0);
    CHECK(out.p == raw.p && out.n == raw.n);
    CHECK_STR(path(STR("/")), "/");
    CHECK_STR(path(STR("")), "/");
    CHECK_STR(path((struct str){NULL, 0}), "/");
}

static void decodes_paths_once(void)
{
    CHECK_STR(path(STR("/a%20b/%C3%A9+")), "/a b/\xc3\xa9+");
    CHECK_STR(path(STR("/%2525")), "/%25");
    CHECK_STR(path(STR("/%252e%252e/x")), "/%2e%2e/x");
    CHECK_STR(path(STR("/%3Fq%23f")), "/?q#f");
}

/* RFC 3986 5.2.4 and 5.4. */
static void removes_dot_segments(void)
{
    CHECK_STR(path(STR("/a/b/c/./../../g")), "/a/g");
    CHECK_STR(path(STR("/a/b/.")), "/a/b/");
    CHECK_STR(path(STR("/a/b/..")), "/a/");
    CHECK_STR(path(STR("/a/b/../")), "/a/");
    CHECK_STR(path(STR("/.")), "/");
    CHECK_STR(path(STR("/./")), "/");
    CHECK_STR(path(STR("/a/..")), "/");
    CHECK_STR(path(STR("/a/../b")), "/b");
    CHECK_STR(path(STR("/a//../b")), "/a/b");
    CHECK_STR(path(STR("/a/.../b..c/.d/..e/f.")), "/a/.../b..c/.d/..e/f.");
    CHECK_STR(path(STR("/.well-known/x")), "/.well-known/x");
}

static void never_leaves_the_root(void)
{
    CHECK_STR(path(STR("/..")), "/");
    CHECK_STR(path(STR("/../../../etc/passwd")), "/etc/passwd");
    CHECK_STR(path(STR("/a/../../etc/passwd")), "/etc/passwd");
    CHECK_STR(path(STR("/%2e%2e/%2E%2e/etc/passwd")), "/etc/passwd");
    CHECK_STR(path(STR("/.%2e/%2e./etc/passwd")), "/etc/passwd");
    CHECK_STR(path(STR("/a/%2e/b/%2e%2e")), "/a/");
    CHECK_STR(path(STR("/..\\..\\x")), "/..\\..\\x"); /* no separator here */
}

static void takes_an_escaped_slash_for_data(void)
{
    CHECK_STR(path(STR("/a%2Fb")), "/a/b");
    CHECK_STR(path(STR("/%2f")), "//");
    CHECK_STR(path(STR("/x/a%2Fb/../c")), "/x/c"); /* one segment */
    CHECK_STR(path(STR("/a%2F")), "/a/");
}

static void refuses_dot_segments_behind_escaped_slashes(void)
{
    CHECK_STR(path(STR("/..%2Fetc")), "refused");
    CHECK_STR(path(STR("/a%2F..%2f..%2Fetc")), "refused");
    CHECK_STR(path(STR("/a%2F..")), "refused");
    CHECK_STR(path(STR("/a%2F%2e%2e")), "refused");
    CHECK_STR(path(STR("/a%2F.")), "refused");
    CHECK_STR(path(STR("/.%2Fa")), "refused");
    CHECK_STR(path(STR("/%2e%2e%2fa/../b")), "refused");
    CHECK_STR(path(STR("/a%2F...%2F.b")), "/a/.../.b");
}

static void refuses_malformed_paths(void)
{
    CHECK_STR(path(STR("/%")), "refused");
    CHECK_STR(path(STR("/%4")), "refused");
    CHECK_STR(path(STR("/%4/a")), "refused");
    CHECK_STR(path(STR("/%zz")), "refused");
    CHECK_STR(path(STR("/%u0041")), "refused");
    CHECK_STR(path(STR("/a%00b")), "refused");
    CHECK_STR(path(STR("/a%00/../b")), "refused");
    CHECK_STR(path(STR("/a\0b")), "refused");
    CHECK_STR(path(STR("*")), "refused");
    CHECK_STR(path(STR("a/b")), "refused");
    CHECK_STR(path(STR("../a")), "refused");
}

static bool is_safe(struct str s)
{
    if (s.n == 0 || s.p[0] != '/' || memchr(s.p, '\0', s.n) != NULL)
        return false;
    while (s.p != NULL) {
        struct str segment = str_cut(&s, '/');

        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return false;
    }
    return true;
}

/* Every path of six pieces: none gets a dot segment through. Each is given in
 * memory of its exact size, so that a sanitizer sees a read beyond it. */
static void is_safe_for_all_short_paths(void)
{
    static const char *const pieces[] = {"/", ".",   "%2e", "%2F",
                                         "a", "%00", "%"};
    enum { PIECES = 7, LONGEST = 6 };
    int total = 1;

    for (int i = 0; i < LONGEST; i++)
        total *= PIECES;
    for (int number = 0; number < total; number++) {
        char raw[3 * LONGEST + 2] = "/", *exact;
        struct str out;
        size_t n;

        for (int left = number, i = 0; i < LONGEST; i++, left /= PIECES)
            strcat(raw, pieces[left % PIECES]);
        n = strlen(raw);
        exact = memcpy(mem_alloc(n), raw, n);
        if (target_path(&pool, (struct str){exact, n}, &out) == 0 &&
            !is_safe(out))
            CHECK_STR(str_of(raw), "safe");
        mem_free(exact);
        pool_clear(&pool);
    }
}

static void knows_valid_hosts(void)
{
    static const char *const good[] = {"",
                                       "localhost",
                                       "example.com",
                                       "EXAMPLE.com:8080",
                                       "a_b.c-d",
                                       "127.0.0.1",
                                       "1.2.3.4:5",
                                       "[::1]",
                                       "[::1]:80",
                                       "[2001:db8::1]",
                                       "h:",
                                       "[::1]:",
                                       "h:65535",
                                       "h:00080",
                                       "%C3%A9.com",
                                       "h.",
                                       "a,b",
                                       "[::ffff:1.2.3.4]",
                                       "xn--caf-dma.example"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!target_host_valid(str_of(good[i])))
            CHECK_STR(str_of(good[i]), "valid");
    CHECK(target_host_valid((struct str){NULL, 0}));
}

static void knows_invalid_hosts(void)
{
    static const char *const bad[] = {" ",
                                      "a b",
                                      "a, b",
                                      "a/b",
                                      "a?b",
                                      "a#b",
                                      "u@h",
                                      "u:p@h",
                                      "http://h",
                                      "h:x",
                                      "h:-1",
                                      "h:80:80",
                                      "h:65536",
                                      "h: 80",
                                      "h:99999999999999999999",
                                      ":80",
                                      ":",
                                      "::1",
                                      "[]",
                                      "[::1",
                                      "::1]",
                                      "[::1]x",
                                      "[::1]80",
                                      "[::1%25eth0]",
                                      "[1.2.3.4]",
                                      "[v1.x]",
                                      "[:::]",
                                      "[[::1]]",
                                      "a\\b",
                                      "a[b]",
                                      "<h>",
                                      "h\"",
                                      "h|",
                                      "\xc3\xa9.com",
                                      "%",
                                      "%4",
                                      "%zz",
                                      "a%2",
                                      "h\t",
                                      "{h}",
                                      "[::1 ]"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (target_host_valid(str_of(bad[i])))
            CHECK_STR(str_of(bad[i]), "invalid");
    CHECK(!target_host_valid(STR("h\0x")));
    CHECK(!target_host_valid(STR("[::1\0]")));
}

static struct bytes found;

/* The pairs of a query as "key=value|". */
static struct str pairs(struct str query)
{
    struct str key, value;

    found.n = 0;
    while (target_next_pair(&query, &pool, &key, &value)) {
        bytes_append(&found, key.p, key.n);
        bytes_append(&found, "=", 1);
        bytes_append(&found, value.p, value.n);
        bytes_append(&found, "|", 1);
    }
    return (struct str){found.p, found.n};
}

static void reads_pairs(void)
{
    CHECK_STR(pairs(STR("a=1&b=2&a=3")), "a=1|b=2|a=3|");
    CHECK_STR(pairs(STR("a")), "a=|");
    CHECK_STR(pairs(STR("a=")), "a=|");
    CHECK_STR(pairs(STR("=b")), "=b|");
    CHECK_STR(pairs(STR("=")), "=|");
    CHECK_STR(pairs(STR("a=b=c")), "a=b=c|");
    CHECK_STR(pairs(STR("a;b=1")), "a;b=1|");
}

static void skips_empty_pieces(void)
{
    CHECK_STR(pairs(STR("")), "");
    CHECK_STR(pairs((struct str){NULL, 0}), "");
    CHECK_STR(pairs(STR("&")), "");
    CHECK_STR(pairs(STR("&&a=1&&&b&")), "a=1|b=|");
}

static void decodes_pairs(void)
{
    CHECK_STR(pairs(STR("a+b=c+d")), "a b=c d|");
    CHECK_STR(pairs(STR("%41%3D=%26%2B%C3%a9%00")), "A==&+\xc3\xa9\0|");
    CHECK_STR(pairs(STR("a=%2541")), "a=%41|");
}

static void keeps_malformed_escapes(void)
{
    CHECK_STR(pairs(STR("a%zz=%4&b=%&c=%%41&d=100%+x")),
              "a%zz=%4|b=%|c=%A|d=100% x|");
}

int main(void)
{
    pool_init(&pool);
    bytes_init(&found);
    RUN(parses_the_origin_form);
    RUN(parses_the_absolute_form);
    RUN(takes_options_on_a_bare_origin_for_the_asterisk);
    RUN(parses_asterisk_for_options_alone);
    RUN(parses_authority_for_connect_alone);
    RUN(refuses_malformed_targets);
    RUN(accepts_what_browsers_send);
    RUN(leaves_plain_paths_as_they_are);
    RUN(decodes_paths_once);
    RUN(removes_dot_segments);
    RUN(never_leaves_the_root);
    RUN(takes_an_escaped_slash_for_data);
    RUN(refuses_dot_segments_behind_escaped_slashes);
    RUN(refuses_malformed_paths);
    RUN(is_safe_for_all_short_paths);
    RUN(knows_valid_hosts);
    RUN(knows_invalid_hosts);
    RUN(reads_pairs);
    RUN(skips_empty_pieces);
    RUN(decodes_pairs);
    RUN(keeps_malformed_escapes);
    pool_clear(&pool);
    bytes_clear(&found);
    return test_finish();
}
