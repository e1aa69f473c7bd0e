/* The command line: what each option sets, every message of an error, HOST and
 * PORT, and that the help fits a screen. */
#include "options.h"

#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static struct options options;
static char error[OPTIONS_ERROR_SIZE];

/* Parses the arguments up to a NULL. */
#define PARSE(...) parse((char *[]){"luaserve", __VA_ARGS__, NULL})

static enum options_result parse(char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    error[0] = '\0';
    return options_parse(argc, argv, &options, error, sizeof error);
}

/* The message of the error that the arguments give. */
#define FAILURE(...)                                                           \
    (PARSE(__VA_ARGS__) == OPTIONS_ERROR ? str_of(error) : STR("no error"))

static struct str address(unsigned i)
{
    static char text[ADDR_TEXT_SIZE];

    return str_of(addr_format(&options.listen[i].addr, text));
}

static void has_defaults(void)
{
    CHECK_INT(PARSE("app.lua"), OPTIONS_RUN);
    CHECK_INT(options.source, OPTIONS_FILE);
    CHECK_STR(str_of(options.script), "app.lua");
    CHECK_INT(options.argc, 0);
    CHECK(options.argv[0] == NULL);
    CHECK_INT(options.listens, 1);
    CHECK_STR(address(0), "127.0.0.1:8080");
    CHECK(!options.check && !options.access_log && !options.log);
    CHECK(!options.user && !options.group && !options.pid_file);
    CHECK_INT(options.log_format, ACCESS_COMBINED);
    CHECK_INT(options.log_level, LOG_LEVEL_INFO);
    CHECK_INT(options.threads, 4);
    CHECK(options.drain_timeout == 30);
    CHECK_INT(options.limits.max_body, 1024 * 1024);
    CHECK_INT(options.max_memory, 512 * 1024 * 1024);
    CHECK(options.cpu_budget == 5);
}

static void leaves_the_rest_to_the_script(void)
{
    CHECK_INT(PARSE("-c", "app.lua", "-l", "--nonsense", "-h"), OPTIONS_RUN);
    CHECK_STR(str_of(options.script), "app.lua");
    CHECK_INT(options.argc, 3);
    CHECK_STR(str_of(options.argv[0]), "-l");
    CHECK_STR(str_of(options.argv[2]), "-h");
    CHECK(options.argv[3] == NULL);
    CHECK_INT(PARSE("--", "-app.lua", "x"), OPTIONS_RUN);
    CHECK_STR(str_of(options.script), "-app.lua");
    CHECK_INT(options.argc, 1);
}

static void takes_code_and_standard_input(void)
{
    CHECK_INT(PARSE("-e", "--x", "-c", "a", "b"), OPTIONS_RUN);
    CHECK_INT(options.source, OPTIONS_CODE);
    CHECK_STR(str_of(options.code), "--x");
    CHECK(options.check && options.script == NULL);
    CHECK_INT(options.argc, 2);
    CHECK_STR(str_of(options.argv[0]), "a");
    CHECK_INT(PARSE("-e", ""), OPTIONS_RUN);
    CHECK_STR(str_of(options.code), "");
    CHECK_INT(PARSE("--eval=", "-"), OPTIONS_RUN);
    CHECK_INT(options.source, OPTIONS_CODE);
    CHECK_STR(str_of(options.argv[0]), "-");
    CHECK_INT(PARSE("-", "a"), OPTIONS_RUN);
    CHECK_INT(options.source, OPTIONS_STDIN);
    CHECK(options.script == NULL);
    CHECK_INT(options.argc, 1);
}

static void writes_values_four_ways(void)
{
    CHECK_INT(
        PARSE("-l8081", "-l", "8082", "--listen", "8083", "--listen=8084", "x"),
        OPTIONS_RUN);
    CHECK_INT(options.listens, 4);
    CHECK_STR(address(0), "127.0.0.1:8081");
    CHECK_STR(address(1), "127.0.0.1:8082");
    CHECK_STR(address(2), "127.0.0.1:8083");
    CHECK_STR(address(3), "127.0.0.1:8084");
    CHECK_INT(PARSE("-cl8085", "x"), OPTIONS_RUN);
    CHECK(options.check);
    CHECK_STR(address(0), "127.0.0.1:8085");
}

static void listens_on_names_and_paths(void)
{
    CHECK_INT(PARSE("-l", "localhost:80", "-l", "unix:/run/x", "x"),
              OPTIONS_RUN);
    CHECK_STR(str_of(options.listen[0].host), "localhost");
    CHECK_INT(options.listen[0].port, 80);
    CHECK_STR(str_of(options.listen[1].host), "");
    CHECK_STR(address(1), "unix:/run/x");
}

static void limits_the_count_of_addresses(void)
{
    char *argv[OPTIONS_LISTEN_MAX + 4] = {"luaserve"};
    int n = 1;

    while (n <= OPTIONS_LISTEN_MAX)
        argv[n++] = "-l80";
    argv[n] = "x";
    CHECK_INT(parse(argv), OPTIONS_RUN);
    CHECK_INT(options.listens, OPTIONS_LISTEN_MAX);
    argv[n++] = "-l80";
    argv[n] = "x";
    CHECK_INT(parse(argv), OPTIONS_ERROR);
    CHECK_STR(str_of(error), "--listen: at most 16 addresses");
}

static void takes_host_and_port_of_the_environment(void)
{
    setenv("HOST", "::1", 1);
    setenv("PORT", "3000", 1);
    CHECK_INT(PARSE("x"), OPTIONS_RUN);
    CHECK_STR(address(0), "[::1]:3000");
    CHECK_INT(PARSE("-l80", "x"), OPTIONS_RUN);
    CHECK_INT(options.listens, 1);
    CHECK_STR(address(0), "127.0.0.1:80");
    setenv("HOST", "[::]", 1);
    CHECK_INT(PARSE("x"), OPTIONS_RUN);
    CHECK_STR(address(0), "[::]:3000");
    setenv("HOST", "localhost", 1);
    CHECK_INT(PARSE("x"), OPTIONS_RUN);
    CHECK_STR(str_of(options.listen[0].host), "localhost");
    CHECK_INT(options.listen[0].port, 3000);
    unsetenv("PORT");
    setenv("HOST", "0.0.0.0", 1);
    CHECK_INT(PARSE("x"), OPTIONS_RUN);
    CHECK_STR(address(0), "0.0.0.0:8080");
    setenv("PORT", "", 1);
    setenv("HOST", "", 1);
    CHECK_INT(PARSE("x"), OPTIONS_RUN);
    CHECK_STR(address(0), "127.0.0.1:8080");
}

static void refuses_a_wrong_environment(void)
{
    setenv("PORT", "abc", 1);
    CHECK_STR(FAILURE("x"), "PORT=abc in the environment: a port is a number "
                            "from 0 to 65535, as in PORT=8080");
    CHECK_INT(PARSE("-c", "x"), OPTIONS_RUN); /* nothing will be served */
    CHECK_INT(options.listens, 0);
    unsetenv("PORT");
    setenv("HOST", "a b", 1);
    CHECK_STR(FAILURE("x"),
              "HOST=a b in the environment: this is neither a name nor an IP "
              "address, as in HOST=127.0.0.1");
    unsetenv("HOST");
}

static void sets_texts_and_choices(void)
{
    CHECK_INT(PARSE("--log", "a", "--access-log", "-", "--user", "u", "--group",
                    "g", "--pid-file=p", "--log-level", "debug",
                    "--log-format=json", "--threads", "8", "x"),
              OPTIONS_RUN);
    CHECK_STR(str_of(options.log), "a");
    CHECK_STR(str_of(options.access_log), "-");
    CHECK_STR(str_of(options.user), "u");
    CHECK_STR(str_of(options.group), "g");
    CHECK_STR(str_of(options.pid_file), "p");
    CHECK_INT(options.log_level, LOG_LEVEL_DEBUG);
    CHECK_INT(options.log_format, ACCESS_JSON);
    CHECK_INT(options.threads, 8);
}

static void sets_every_limit(void)
{
    const struct limits *limits = &options.limits;

    CHECK_INT(PARSE("--max-request-line=4k", "--max-header-size=64K",
                    "--max-headers=50", "--max-body=10M", "--max-memory=2G",
                    "--max-connections=7", "--max-requests=9",
                    "--keep-alive-timeout=1", "--headers-timeout=2",
                    "--request-timeout=3.25", "--write-timeout=0",
                    "--handler-timeout=0.5", "--cpu-budget=6",
                    "--drain-timeout=7", "x"),
              OPTIONS_RUN);
    CHECK_INT(limits->max_request_line, 4096);
    CHECK_INT(limits->max_header_size, 65536);
    CHECK_INT(limits->max_headers, 50);
    CHECK_INT(limits->max_body, 10485760);
    CHECK_INT(options.max_memory, 2147483648LL);
    CHECK_INT(limits->max_connections, 7);
    CHECK_INT(limits->max_requests, 9);
    CHECK(limits->keep_alive_timeout == 1);
    CHECK(limits->headers_timeout == 2);
    CHECK(limits->request_timeout == 3.25);
    CHECK(limits->write_timeout == 0);
    CHECK(limits->handler_timeout == 0.5);
    CHECK(options.cpu_budget == 6);
    CHECK(options.drain_timeout == 7);
    CHECK(PARSE("--watch", "x") == OPTIONS_RUN);
    CHECK(options.watch && options.drain_timeout == OPTIONS_DRAIN_WATCHED);
    CHECK(PARSE("--watch", "--drain-timeout", "7", "x") == OPTIONS_RUN);
    CHECK(options.drain_timeout == 7);
    CHECK_STR(FAILURE("--watch", "--workers", "2", "x"),
              "--watch runs one worker, to show each change at once: "
              "leave --workers out");
}

static void the_last_of_two_wins(void)
{
    CHECK_INT(PARSE("--max-body", "1K", "--max-body", "123", "x"), OPTIONS_RUN);
    CHECK_INT(options.limits.max_body, 123);
}

static void says_what_a_number_should_be(void)
{
    CHECK_STR(FAILURE("--max-body", "12q", "x"),
              "--max-body 12q: not a size in bytes, K, M or G, as in "
              "--max-body 10M");
    CHECK_STR(FAILURE("--max-body=1.5M", "x"),
              "--max-body 1.5M: not a size in bytes, K, M or G, as in "
              "--max-body 10M");
    CHECK(PARSE("--max-body=", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--max-body=M", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--max-body=1MM", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--max-body=-1", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--max-body=0x10", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--max-body=99999999999999999999999999G", "x") ==
          OPTIONS_ERROR);
    CHECK_STR(FAILURE("--drain-timeout", "1e3", "x"),
              "--drain-timeout 1e3: not a number of seconds, as in "
              "--drain-timeout 30");
    CHECK(PARSE("--drain-timeout", ".", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--drain-timeout", "1.", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--drain-timeout", "nan", "x") == OPTIONS_ERROR);
    CHECK(PARSE("--drain-timeout", "1.2.3", "x") == OPTIONS_ERROR);
    CHECK_STR(FAILURE("--threads", "x", "x"),
              "--threads x: not a whole number, as in --threads 4");
    CHECK_STR(FAILURE("--threads=0", "x"),
              "--threads 0: must be from 1 to 128, as in --threads 4");
    CHECK_STR(FAILURE("--max-header-size", "2M", "x"),
              "--max-header-size 2M: must be from 64 to 1048576, as in "
              "--max-header-size 32K");
}

static void says_what_a_value_should_be(void)
{
    CHECK_STR(FAILURE("--log-level", "loud", "x"),
              "--log-level loud: not error, warn, info or debug, as in "
              "--log-level debug");
    CHECK_STR(FAILURE("--log-format=xml", "x"),
              "--log-format xml: not common, combined or json, as in "
              "--log-format json");
    CHECK_STR(FAILURE("-l", "80800", "x"),
              "--listen 80800: a port is a number from 0 to 65535, as in "
              "127.0.0.1:8080");
}

static void misses_values(void)
{
    CHECK_STR(FAILURE("--listen"),
              "--listen needs a value, as in --listen 8080");
    CHECK_STR(FAILURE("-l"), "--listen needs a value, as in --listen 8080");
    CHECK_STR(FAILURE("-e"), "--eval needs a value, as in --eval 'print(1)'");
    CHECK_STR(FAILURE("--access-log", "--user", "x", "app.lua"),
              "--access-log needs a value, as in --access-log -");
    CHECK_STR(FAILURE("--user=", "x"),
              "--user needs a value, as in --user www-data");
    CHECK_STR(FAILURE("--check=yes", "x"),
              "--check takes no value; write --check alone");
}

static void suggests_what_was_meant(void)
{
    CHECK_STR(FAILURE("--lisen", "80", "x"),
              "unknown option --lisen; did you mean --listen?");
    CHECK_STR(FAILURE("--port=80", "x"),
              "unknown option --port; did you mean --listen?");
    CHECK_STR(FAILURE("-p", "80", "x"),
              "unknown option -p; did you mean --listen?");
    CHECK_STR(
        FAILURE("--keep-alive", "80", "x"),
        "unknown option --keep-alive; did you mean --keep-alive-timeout?");
    CHECK_STR(FAILURE("--max-bdoy", "1M", "x"),
              "unknown option --max-bdoy; did you mean --max-body?");
    CHECK_STR(FAILURE("--colour", "x"),
              "unknown option --colour; see luaserve --help");
    CHECK_STR(FAILURE("-z", "x"), "unknown option -z; see luaserve --help");
    CHECK_STR(FAILURE("-cz", "x"), "unknown option -z; see luaserve --help");
    CHECK_STR(FAILURE("--=3", "x"), "unknown option --; see luaserve --help");
}

static void survives_absurd_names(void)
{
    static char absurd[5000] = "--";

    memset(absurd + 2, 'a', sizeof absurd - 3);
    CHECK_INT(PARSE(absurd, "x"), OPTIONS_ERROR);
    CHECK_INT(PARSE("-l", absurd + 2, "x"), OPTIONS_ERROR);
    CHECK_INT(PARSE("--max-body", absurd + 2, "x"), OPTIONS_ERROR);
    setenv("HOST", absurd + 2, 1);
    CHECK_INT(PARSE("x"), OPTIONS_ERROR);
    setenv("PORT", absurd + 2, 1);
    CHECK_INT(PARSE("x"), OPTIONS_ERROR);
    unsetenv("HOST");
    unsetenv("PORT");
}

static void wants_a_script(void)
{
    CHECK_STR(FAILURE("-c"), "no script given; usage: luaserve [options] "
                             "app.lua (luaserve --help)");
    CHECK_STR(FAILURE("--"), "no script given; usage: luaserve [options] "
                             "app.lua (luaserve --help)");
    CHECK_INT(parse((char *[]){"luaserve", NULL}), OPTIONS_ERROR);
    CHECK_INT(
        options_parse(0, (char *[]){NULL, NULL}, &options, error, sizeof error),
        OPTIONS_ERROR);
}

static void answers_help_and_version_at_once(void)
{
    CHECK_INT(PARSE("-v", "--nonsense"), OPTIONS_VERSION);
    CHECK_INT(PARSE("--version"), OPTIONS_VERSION);
    CHECK_INT(PARSE("-ch"), OPTIONS_HELP);
    CHECK_INT(options.page, USAGE_MAIN);
    CHECK_INT(PARSE("--help", "else"), OPTIONS_HELP);
    CHECK_INT(options.page, USAGE_MAIN);
    CHECK_INT(PARSE("--help", "limits"), OPTIONS_HELP);
    CHECK_INT(options.page, USAGE_LIMITS);
    CHECK_INT(PARSE("--help=limits"), OPTIONS_HELP);
    CHECK_INT(options.page, USAGE_LIMITS);
    CHECK_INT(PARSE("-h", "limits"), OPTIONS_HELP);
    CHECK_INT(options.page, USAGE_LIMITS);
}

/* The text of a page; valid until the next call. */
static struct str page_text(enum usage_page page)
{
    static char text[8192];
    FILE *out = fmemopen(text, sizeof text, "w");

    usage_print(page, out);
    fclose(out);
    return str_of(text);
}

static void check_fits_a_screen(struct str text)
{
    int lines = 0;

    CHECK(text.n > 0 && text.p[text.n - 1] == '\n');
    text.n--;
    while (text.n) {
        struct str line = str_cut(&text, '\n');

        CHECK(line.n <= 79);
        CHECK(line.n == 0 || line.p[line.n - 1] != ' ');
        lines++;
    }
    CHECK(lines <= 23); /* and one for the prompt */
}

static void takes_certificates_with_their_keys(void)
{
    CHECK_INT(PARSE("--tls-cert", "a", "--tls-key", "b", "--tls-cert=c",
                    "--tls-key", "d", "--tls-timeout", "2.5", "app.lua"),
              OPTIONS_RUN);
    CHECK_INT(options.tls_cert.n, 2);
    CHECK_STR(str_of(options.tls_cert.text[1]), "c");
    CHECK_STR(str_of(options.tls_key.text[1]), "d");
    CHECK(options.limits.tls_timeout == 2.5);
    CHECK(options.tls == NULL);
    CHECK_STR(FAILURE("--tls-cert", "a", "app.lua"),
              "each --tls-cert needs its --tls-key, as in --tls-cert cert.pem "
              "--tls-key key.pem");
    CHECK_STR(
        FAILURE("--tls", "dev", "--tls-cert", "a", "--tls-key", "b", "app.lua"),
        "--tls dev makes the certificate: leave --tls-cert out");
    CHECK_INT(PARSE("--tls", "dev", "app.lua"), OPTIONS_RUN);
    CHECK_STR(str_of(options.tls), "dev");
}

static void a_command_takes_the_place_of_the_script(void)
{
    CHECK_INT(PARSE("--store", "x", "new", "shop", "--help"), OPTIONS_RUN);
    CHECK_INT(options.source, OPTIONS_COMMAND);
    CHECK_STR(str_of(options.command), "new");
    CHECK_INT(options.argc, 2);
    CHECK_STR(str_of(options.argv[1]), "--help");
    CHECK_INT(PARSE("./new"), OPTIONS_RUN);
    CHECK_INT(options.source, OPTIONS_FILE);
    CHECK(options.command == NULL);
}

static void help_fits_a_screen(void)
{
    struct str text = page_text(USAGE_MAIN);

    CHECK(memmem(text.p, text.n, "--help service, limits or commands", 34) !=
          NULL);
    check_fits_a_screen(text);
    check_fits_a_screen(page_text(USAGE_SERVICE));
    check_fits_a_screen(page_text(USAGE_LIMITS));
    check_fits_a_screen(page_text(USAGE_COMMANDS));
}

static void help_tells_the_defaults(void)
{
    struct str text = page_text(USAGE_LIMITS);

    CHECK(memmem(text.p, text.n, "(8K)", 4) != NULL);
    CHECK(memmem(text.p, text.n, "(512M)", 6) != NULL);
    CHECK(memmem(text.p, text.n, "(100)", 5) != NULL);
    CHECK(memmem(text.p, text.n, "(300)", 5) != NULL);
}

/* What the help and the messages show as an example must be right. */
static void examples_are_right(void)
{
    static const char *const names[] = {"listen",
                                        "log",
                                        "log-level",
                                        "access-log",
                                        "log-format",
                                        "user",
                                        "group",
                                        "pid-file",
                                        "drain-timeout",
                                        "threads",
                                        "max-request-line",
                                        "max-header-size",
                                        "max-headers",
                                        "max-body",
                                        "keep-alive-timeout",
                                        "headers-timeout",
                                        "request-timeout",
                                        "write-timeout",
                                        "handler-timeout",
                                        "cpu-budget",
                                        "max-memory",
                                        "max-connections",
                                        "max-requests",
                                        "h2-max-streams"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct usage_row *row = usage_find(names[i]);
        char name[40];

        CHECK(row != NULL);
        if (row == NULL)
            return;
        snprintf(name, sizeof name, "--%s", names[i]);
        CHECK_INT(PARSE(name, (char *)row->example, "x"), OPTIONS_RUN);
    }
}

int main(void)
{
    unsetenv("HOST");
    unsetenv("PORT");
    RUN(has_defaults);
    RUN(leaves_the_rest_to_the_script);
    RUN(takes_code_and_standard_input);
    RUN(writes_values_four_ways);
    RUN(listens_on_names_and_paths);
    RUN(limits_the_count_of_addresses);
    RUN(takes_host_and_port_of_the_environment);
    RUN(refuses_a_wrong_environment);
    RUN(sets_texts_and_choices);
    RUN(sets_every_limit);
    RUN(the_last_of_two_wins);
    RUN(says_what_a_number_should_be);
    RUN(says_what_a_value_should_be);
    RUN(misses_values);
    RUN(suggests_what_was_meant);
    RUN(survives_absurd_names);
    RUN(wants_a_script);
    RUN(answers_help_and_version_at_once);
    RUN(takes_certificates_with_their_keys);
    RUN(a_command_takes_the_place_of_the_script);
    RUN(help_fits_a_screen);
    RUN(help_tells_the_defaults);
    RUN(examples_are_right);
    return test_finish();
}
