/* The rows, in the order of the help, and what can be said of them: find one,
 * guess one, print them all. Rows go on pages, because one that scrolls away
 * is not read. Guessing uses the edit distance and a short list of what
 * other programs call the same thing. */
#include "usage.h"

#include <inttypes.h>
#include <string.h>

#include "net/work.h"
#include "options.h"

#define AT(field) offsetof(struct options, field)
#define LIMIT(field) offsetof(struct options, limits.field)
#define KIB 1024.0
#define MIB (1024 * 1024.0)
#define TIB (1024 * 1024 * 1024 * 1024.0)
#define GIB (1024 * 1024 * 1024.0)
#define YEAR (365 * 24 * 3600.0)

static const struct usage_row main_rows[] = {
    {'l', USAGE_LISTEN, "listen", "ADDR", "8080", 0, 0, 0,
     "serves a returned app: 8080, :8080 (all), unix:PATH", NULL},
    {'w', USAGE_WORKERS, "workers", "N", "auto", AT(workers), 1,
     OPTIONS_WORKERS_MAX, "run N processes, or auto: one for each CPU", NULL},
    {0, USAGE_TEXT, "tls", "dev", "dev", AT(tls), 0, 0,
     "makes a certificate for localhost to try it out", NULL},
    {0, USAGE_TEXTS, "tls-cert", "FILE", "cert.pem", AT(tls_cert), 0, 0,
     "serves them over TLS; PEM, with its chain", NULL},
    {0, USAGE_TEXTS, "tls-key", "FILE", "key.pem", AT(tls_key), 0, 0,
     "its private key; repeat both for further hosts", NULL},
    {0, USAGE_FLAG, "watch", NULL, NULL, AT(watch), 0, 0,
     "reload it, and pages, on each change; show errors", NULL},
    {0, USAGE_TEXT, "store", "FILE", "/var/lib/app/store", AT(store), 0, 0,
     "a file that keeps the store, sessions too", NULL},
    {0, USAGE_TEXT, "access-log", "FILE", "-", AT(access_log), 0, 0,
     "one line a request; - is standard output", NULL},
    {'e', USAGE_CODE, "eval", "CODE", "'print(1)'", AT(code), 0, 0,
     "run CODE; what is no option is its argument", NULL},
    {'c', USAGE_FLAG, "check", NULL, NULL, AT(check), 0, 0,
     "compile the script and what it requires, and exit", NULL},
    {0, USAGE_FLAG, "routes", NULL, NULL, AT(routes), 0, 0,
     "print the routes of its apps, and exit", NULL},
    {0, USAGE_FLAG, "openapi", NULL, NULL, AT(openapi), 0, 0,
     "print its app's OpenAPI document, and exit", NULL},
    {'v', USAGE_VERSION, "version", NULL, NULL, 0, 0, 0, "print the versions",
     NULL},
    {'h', USAGE_HELP, "help", NULL, NULL, 0, 0, 0,
     "this page; also --help service, limits or commands", NULL},
};

/* For servers that run as a service. */
static const struct usage_row service_rows[] = {
    {0, USAGE_TEXT, "user", "NAME", "www-data", AT(user), 0, 0,
     "give up root and become this user", NULL},
    {0, USAGE_TEXT, "group", "NAME", "www-data", AT(group), 0, 0,
     "and this group (default the user's own)", NULL},
    {0, USAGE_TEXT, "pid-file", "FILE", "/run/luaserve.pid", AT(pid_file), 0, 0,
     "write the process id there", NULL},
    {0, USAGE_TEXT, "reload", "PIDFILE", "/run/luaserve.pid", AT(reload), 0, 0,
     "have a running --workers take new code, and exit", NULL},
    {0, USAGE_FLAG, "proxy-protocol", NULL, NULL, AT(proxied), 0, 0,
     "a proxy in front names its clients so (v1, v2)", NULL},
    {0, USAGE_TEXT, "log", "FILE", "/var/log/luaserve.log", AT(log), 0, 0,
     "the server's log (default standard error)", NULL},
    {0, USAGE_LOG_LEVEL, "log-level", "LEVEL", "debug", 0, 0, 0,
     "error, warn, info (default) or debug", NULL},
    {0, USAGE_TEXT, "record", "DIR", "/var/lib/app/failed", AT(record), 0, 0,
     "keep requests that end in a 500, for replay", NULL},
    {0, USAGE_LOG_FORMAT, "log-format", "NAME", "json", 0, 0, 0,
     "common, combined (default) or json", NULL},
};

/* What is run in place of a script: lua/luaserve/command/NAME.lua. */
static const struct {
    const char *name, *arguments, *help;
} commands[] = {
    {"new", "NAME", "make a folder with a small app, its spec and a README"},
    {"test", "[FILE...]", "run the app's specs (of the folder spec)"},
    {"repl", "[app.lua]", "a prompt, with the app loaded"},
    {"attach", "PIDFILE", "a prompt inside a running server"},
    {"top", "PIDFILE", "what the workers of a running server do, live"},
    {"replay", "FILE app.lua", "run a request again that --record has kept"},
};

static const struct usage_row limit_rows[] = {
    {0, USAGE_SIZE, "max-request-line", "SIZE", "8K", LIMIT(max_request_line),
     64, 1024 * KIB, "request line", NULL},
    {0, USAGE_SIZE, "max-header-size", "SIZE", "32K", LIMIT(max_header_size),
     64, 1024 * KIB, "all headers of a request", NULL},
    {0, USAGE_COUNT, "max-headers", "N", "100", LIMIT(max_headers), 1, 1e6,
     "headers of a request", NULL},
    {0, USAGE_SIZE, "max-body", "SIZE", "10M", LIMIT(max_body), 0, 1024 * GIB,
     "body that text, json and form collect", NULL},
    {0, USAGE_SECONDS, "keep-alive-timeout", "S", "75",
     LIMIT(keep_alive_timeout), 0, YEAR, "quiet time between requests", NULL},
    {0, USAGE_SECONDS, "headers-timeout", "S", "20", LIMIT(headers_timeout), 0,
     YEAR, "the whole head", NULL},
    {0, USAGE_SECONDS, "request-timeout", "S", "300", LIMIT(request_timeout), 0,
     YEAR, "the whole request", NULL},
    {0, USAGE_SECONDS, "write-timeout", "S", "60", LIMIT(write_timeout), 0,
     YEAR, "client that reads nothing", NULL},
    {0, USAGE_SECONDS, "handler-timeout", "S", "60", LIMIT(handler_timeout), 0,
     YEAR, "handler until it sends the head", NULL},
    {0, USAGE_SECONDS, "tls-timeout", "S", "10", LIMIT(tls_timeout), 0, YEAR,
     "TLS handshake", NULL},
    {0, USAGE_SECONDS, "cpu-budget", "S", "5", AT(cpu_budget), 0, YEAR,
     "CPU time of one uninterrupted run of Lua", NULL},
    {0, USAGE_SIZE, "max-memory", "SIZE", "512M", AT(max_memory), 0, 1024 * GIB,
     "Lua memory of the process", NULL},
    {0, USAGE_SIZE, "store-size", "SIZE", "256M", AT(store_size), MIB, TIB,
     "the store, with the sessions", "32M"},
    {0, USAGE_COUNT, "record-max", "N", "100", AT(record_max), 1, 10000,
     "requests that --record keeps", NULL},
    {0, USAGE_SECONDS, "drain-timeout", "S", "30", AT(drain_timeout), 0, YEAR,
     "what SIGTERM leaves to requests at work", NULL},
    {0, USAGE_COUNT, "threads", "N", "4", AT(threads), 1, WORK_THREADS_MAX,
     "threads for files, look-ups of names, hashes", NULL},
    {0, USAGE_COUNT, "max-connections", "N", "1000", LIMIT(max_connections), 0,
     1e9, "open connections", "9/10 of the descriptors"},
    {0, USAGE_COUNT, "max-requests", "N", "1000", LIMIT(max_requests), 0, 1e9,
     "requests on a connection", "none"},
    {0, USAGE_COUNT, "h2-max-streams", "N", "100", LIMIT(max_streams), 1, 10000,
     "streams open on a connection of HTTP/2", NULL},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* The pages of the help, by enum usage_page. */
static const struct {
    const char *name;
    const struct usage_row *rows;
    size_t n;
} pages[] = {
    {"", main_rows, COUNT(main_rows)},
    {"service", service_rows, COUNT(service_rows)},
    {"limits", limit_rows, COUNT(limit_rows)},
    {"commands", NULL, 0},
};

enum { ALL_ROWS = COUNT(main_rows) + COUNT(service_rows) + COUNT(limit_rows) };

/* What people type who come from elsewhere. */
static const struct {
    const char *said, *meant;
} synonyms[] = {
    {"port", "listen"},       {"p", "listen"},
    {"host", "listen"},       {"bind", "listen"},
    {"address", "listen"},    {"execute", "eval"},
    {"V", "version"},         {"?", "help"},
    {"syntax", "check"},      {"pidfile", "pid-file"},
    {"verbose", "log-level"}, {"cluster", "workers"},
    {"restart", "reload"},    {"processes", "workers"},
    {"instances", "workers"},
};

static const struct usage_row *row_at(size_t i)
{
    size_t page = 0;

    while (i >= pages[page].n)
        i -= pages[page++].n;
    return &pages[page].rows[i];
}

const struct usage_row *usage_find(const char *name)
{
    for (size_t i = 0; i < ALL_ROWS; i++) {
        if (strcmp(row_at(i)->name, name) == 0)
            return row_at(i);
    }
    return NULL;
}

enum usage_page usage_find_page(const char *name)
{
    size_t i;

    for (i = 0; i < COUNT(pages); i++) {
        if (strcmp(pages[i].name, name) == 0)
            return (enum usage_page)i;
    }
    return USAGE_MAIN;
}

bool usage_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return true;
    }
    return false;
}

const struct usage_row *usage_find_letter(char letter)
{
    for (size_t i = 0; i < COUNT(main_rows); i++) {
        if (main_rows[i].letter == letter)
            return &main_rows[i];
    }
    return NULL;
}

/* How many bytes must be changed, added or dropped to make b of a. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[USAGE_NAME_SIZE + 1];
    size_t n = strlen(b);

    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            unsigned cost = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[n];
}

const char *usage_suggest(const char *said)
{
    size_t n = strlen(said);
    unsigned best = 2 + (unsigned)n / 4; /* from here on it is another word */
    const char *name = NULL;

    for (size_t i = 0; i < COUNT(synonyms); i++) {
        if (strcmp(said, synonyms[i].said) == 0)
            return synonyms[i].meant;
    }
    for (size_t i = 0; n > 1 && n < USAGE_NAME_SIZE && i < ALL_ROWS; i++) {
        const char *other = row_at(i)->name;
        unsigned distance = edit_distance(said, other);

        if (strncmp(said, other, n) == 0)
            distance = 1;
        if (distance < best) {
            best = distance;
            name = other;
        }
    }
    return name;
}

/* The default of a limit, as one would write it. */
static void format_default(const struct usage_row *row, char *text, size_t size)
{
    const struct options standard = OPTIONS_DEFAULT;
    const void *field = (const char *)&standard + row->at;
    uint64_t n;

    if (row->standard) {
        snprintf(text, size, "%s", row->standard);
        return;
    }
    if (row->kind == USAGE_SECONDS) {
        snprintf(text, size, "%g", *(const double *)field);
        return;
    }
    n = *(const uint64_t *)field;
    if (row->kind == USAGE_COUNT)
        snprintf(text, size, "%" PRIu64, n);
    else if (n % (1024 * 1024) == 0)
        snprintf(text, size, "%" PRIu64 "M", n / (1024 * 1024));
    else
        snprintf(text, size, "%" PRIu64 "K", n / 1024);
}

static void print_row(const struct usage_row *row, FILE *out)
{
    char left[USAGE_NAME_SIZE + 16], letter[] = "-x, ";
    const char *line = row->help, *end;

    letter[1] = row->letter;
    snprintf(left, sizeof(left), "%s--%s %s", row->letter ? letter : "    ",
             row->name, row->argument ? row->argument : "");
    for (end = strchr(line, '\n'); end; end = strchr(line, '\n')) {
        fprintf(out, "  %-25s %.*s\n", left, (int)(end - line), line);
        left[0] = '\0';
        line = end + 1;
    }
    fprintf(out, "  %-25s %s\n", left, line);
}

static void print_limit(const struct usage_row *row, FILE *out)
{
    char left[USAGE_NAME_SIZE + 16], standard[32];

    snprintf(left, sizeof(left), "--%s %s", row->name, row->argument);
    format_default(row, standard, sizeof(standard));
    fprintf(out, "  %-25s %s (%s)\n", left, row->help, standard);
}

static void print_commands(FILE *out)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(out, "  %-7s%-14s%s\n", commands[i].name, commands[i].arguments,
                commands[i].help);
    fputs("\nEach says more with --help behind it, as in luaserve new --help. "
          "A script of\nsuch a name is run by its path: luaserve ./test\n",
          out);
}

void usage_print(enum usage_page page, FILE *out)
{
    static const char *const heads[] = {
        "Usage: luaserve [options] app.lua | -e CODE | - [arguments] (-: "
        "standard input)\n       luaserve COMMAND: new, test, repl, attach, "
        "top, "
        "replay (--help commands)\n",
        "Options for a server that runs as a service.\n",
        "Limits and timeouts (and their defaults). SIZE is in bytes, or "
        "64K, 10M, 1G;\nS is in seconds, also 0.5; 0 turns a limit off, "
        "but for the first three.\n",
        "Usage: luaserve [options] COMMAND [arguments]\n",
    };

    fprintf(out, "%s\n", heads[page]);
    for (size_t i = 0; i < pages[page].n; i++) {
        if (page == USAGE_LIMITS)
            print_limit(&pages[page].rows[i], out);
        else
            print_row(&pages[page].rows[i], out);
    }
    if (page == USAGE_COMMANDS)
        print_commands(out);
}
