/* One table drives the parsing, the messages and the help. We do not use
 * getopt_long because its messages name no example and suggest nothing, and
 * because it takes abbreviations, which break scripts when an option is added.
 * Every error is one line that names the option and shows a right value. The
 * last of two equal options wins, as in Node; only --listen adds up. Left out:
 * a configuration file, and options from the environment but HOST and PORT. */
#include "options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "usage.h"

/* Where the parsing stands. */
struct parser {
    int argc, at; /* at: the next argument */
    char **argv;
    struct options *options;
    char *error;
    size_t size;
};

static enum options_result fail(struct parser *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum options_result fail(struct parser *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->error, p->size, format, args);
    va_end(args);
    return OPTIONS_ERROR;
}

/* Says what is wrong with value and shows a right one. */
static enum options_result fail_value(struct parser *p,
                                      const struct usage_row *row,
                                      const char *value, const char *why)
{
    return fail(p, "--%s %.100s: %s, as in --%s %s", row->name, value, why,
                row->name, row->example);
}

static enum options_result fail_unknown(struct parser *p, const char *dashes,
                                        const char *said)
{
    const char *meant = usage_suggest(said);

    if (meant)
        return fail(p, "unknown option %s%.100s; did you mean --%s?", dashes,
                    said, meant);
    return fail(p, "unknown option %s%.100s; see luaserve --help", dashes,
                said);
}

static enum options_result
fail_range(struct parser *p, const struct usage_row *row, const char *value)
{
    return fail(p, "--%s %.100s: must be from %.0f to %.0f, as in --%s %s",
                row->name, value, row->min, row->max, row->name, row->example);
}

/* The power of 1024 that a size ends with, or 0 where it is something else. */
static double unit_of(const char *text)
{
    static const char letters[] = "kmgKMG";
    const char *at = *text ? strchr(letters, *text) : NULL;
    double unit = 1;

    if (*text == '\0')
        return 1;
    if (at == NULL || text[1] != '\0')
        return 0;
    for (long i = (at - letters) % 3; i >= 0; i--)
        unit *= 1024;
    return unit;
}

/* Reads decimal digits, with a fraction where that is allowed. Doubles are
 * exact beyond every maximum of the table. Returns what follows, or NULL. */
static const char *read_number(const char *text, bool fraction, double *n)
{
    const char *at = text;
    double place = 1;

    for (*n = 0; *at >= '0' && *at <= '9'; at++)
        *n = *n * 10 + (*at - '0');
    if (at == text)
        return NULL;
    if (!fraction || at[0] != '.' || at[1] < '0' || at[1] > '9')
        return at;
    for (at++; *at >= '0' && *at <= '9'; at++) {
        place /= 10;
        *n += (*at - '0') * place;
    }
    return at;
}

static enum options_result
set_number(struct parser *p, const struct usage_row *row, const char *value)
{
    void *field = (char *)p->options + row->at;
    bool seconds = row->kind == USAGE_SECONDS;
    const char *rest;
    double n, unit = 0;

    rest = read_number(value, seconds, &n);
    if (rest)
        unit = row->kind == USAGE_SIZE ? unit_of(rest) : *rest == '\0';
    if (unit == 0)
        return fail_value(p, row, value,
                          seconds                   ? "not a number of seconds"
                          : row->kind == USAGE_SIZE ? "not a size in bytes, K, "
                                                      "M or G"
                                                    : "not a whole number");
    n *= unit;
    if (n < row->min || n > row->max)
        return fail_range(p, row, value);
    if (seconds)
        *(double *)field = n;
    else
        *(uint64_t *)field = (uint64_t)n;
    return OPTIONS_RUN;
}

/* Reads text into *listen. Returns 0, or -1 and *why. */
static int parse_listen(const char *text, struct options_listen *listen,
                        const char **why)
{
    listen->host[0] = '\0';
    switch (addr_parse(text, &listen->addr, why)) {
    case ADDR_OK:
        return 0;
    case ADDR_NAME:
        return addr_split(text, listen->host, &listen->port, why);
    default:
        return -1;
    }
}

static enum options_result add_listen(struct parser *p, const char *value)
{
    struct options *options = p->options;
    const char *why;

    if (options->listens == OPTIONS_LISTEN_MAX)
        return fail(p, "--listen: at most %d addresses", OPTIONS_LISTEN_MAX);
    if (parse_listen(value, &options->listen[options->listens], &why) != 0)
        return fail(p, "--listen %.100s: %s", value, why);
    options->listens++;
    return OPTIONS_RUN;
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && *value ? value : otherwise;
}

/* The address where nothing was given: $HOST:$PORT, each with a default. */
static enum options_result default_listen(struct parser *p)
{
    const char *host = from_environment("HOST", "127.0.0.1");
    const char *port = from_environment("PORT", "8080");
    bool bare = strchr(host, ':') && host[0] != '[';
    char text[ADDR_HOST_SIZE + 16];
    const char *why;
    uint16_t n;
    int length;

    if (addr_parse_port(port, &n) != 0)
        return fail(p,
                    "PORT=%.100s in the environment: a port is a number from"
                    " 0 to 65535, as in PORT=8080",
                    port);
    length = snprintf(text, sizeof(text), bare ? "[%s]:%u" : "%s:%u", host,
                      (unsigned)n);
    if (length >= (int)sizeof(text) ||
        parse_listen(text, &p->options->listen[0], &why) != 0)
        return fail(p,
                    "HOST=%.100s in the environment: this is neither a name "
                    "nor an IP address, as in HOST=127.0.0.1",
                    host);
    p->options->listens = 1;
    return OPTIONS_RUN;
}

static enum options_result
set_text(struct parser *p, const struct usage_row *row, const char *value)
{
    if (*value == '\0' && row->kind == USAGE_TEXT)
        return fail(p, "--%s needs a value, as in --%s %s", row->name,
                    row->name, row->example);
    *(const char **)(void *)((char *)p->options + row->at) = value;
    return OPTIONS_RUN;
}

static enum options_result
add_text(struct parser *p, const struct usage_row *row, const char *value)
{
    struct options_texts *texts = (void *)((char *)p->options + row->at);

    if (texts->n == OPTIONS_TEXTS_MAX)
        return fail(p, "--%s: at most %d of them", row->name,
                    OPTIONS_TEXTS_MAX);
    texts->text[texts->n++] = value;
    return OPTIONS_RUN;
}

/* Certificates come with their keys, or are made by us. */
static enum options_result check_tls(struct parser *p)
{
    const struct options *o = p->options;

    if (o->tls && strcmp(o->tls, "dev") != 0)
        return fail(p,
                    "--tls %.100s: dev is all there is, as in --tls dev; "
                    "certificates of your own are --tls-cert and --tls-key",
                    o->tls);
    if (o->tls && o->tls_cert.n > 0)
        return fail(p, "--tls dev makes the certificate: leave --tls-cert out");
    if (o->tls_cert.n != o->tls_key.n)
        return fail(p, "each --tls-cert needs its --tls-key, as in --tls-cert "
                       "cert.pem --tls-key key.pem");
    return OPTIONS_RUN;
}

static enum options_result
set_choice(struct parser *p, const struct usage_row *row, const char *value)
{
    bool level = row->kind == USAGE_LOG_LEVEL;
    int n = level ? log_level_of(value) : access_format_of(value);

    if (n < 0)
        return fail_value(p, row, value,
                          level ? "not error, warn, info or debug"
                                : "not common, combined or json");
    if (level)
        p->options->log_level = (enum log_level)n;
    else
        p->options->log_format = (enum access_format)n;
    return OPTIONS_RUN;
}

/* What --watch runs is one worker, which somebody waits to see the end of. */
static enum options_result check_watch(struct parser *p)
{
    struct options *o = p->options;

    if (o->watch && o->drain_timeout == OPTIONS_DRAIN)
        o->drain_timeout = OPTIONS_DRAIN_WATCHED;
    if (o->watch && o->workers > 1)
        return fail(p, "--watch runs one worker, to show each change at once: "
                       "leave --workers out");
    return OPTIONS_RUN;
}

/* The page is the value, or else what follows, if it is one. */
static enum options_result set_help(struct parser *p, const char *value)
{
    const char *page = value ? value : p->argv[p->at];

    p->options->page = usage_find_page(page ? page : "");
    return OPTIONS_HELP;
}

/* For a row that takes no argument; --help alone may have one (or NULL). */
static enum options_result
set_flag(struct parser *p, const struct usage_row *row, const char *value)
{
    if (row->kind == USAGE_HELP)
        return set_help(p, value);
    if (row->kind == USAGE_VERSION)
        return OPTIONS_VERSION;
    *(bool *)((char *)p->options + row->at) = true;
    return OPTIONS_RUN;
}

static enum options_result
set_workers(struct parser *p, const struct usage_row *row, const char *value)
{
    if (strcmp(value, "auto") != 0)
        return set_number(p, row, value);
    p->options->workers = OPTIONS_AUTO;
    return OPTIONS_RUN;
}

static enum options_result
set_value(struct parser *p, const struct usage_row *row, const char *value)
{
    switch (row->kind) {
    case USAGE_TEXTS:
        return add_text(p, row, value);
    case USAGE_LISTEN:
        return add_listen(p, value);
    case USAGE_LOG_LEVEL:
    case USAGE_LOG_FORMAT:
        return set_choice(p, row, value);
    case USAGE_WORKERS:
        return set_workers(p, row, value);
    case USAGE_SIZE:
    case USAGE_COUNT:
    case USAGE_SECONDS:
        return set_number(p, row, value);
    default:
        return set_text(p, row, value);
    }
}

/* Sets row to the next argument. One that begins with two dashes is more
 * likely the next option than a value, except as code: `--` opens a comment. */
static enum options_result set_next(struct parser *p,
                                    const struct usage_row *row)
{
    const char *value = p->argv[p->at];

    if (value == NULL || (row->kind != USAGE_CODE && !strncmp(value, "--", 2)))
        return fail(p, "--%s needs a value, as in --%s %s", row->name,
                    row->name, row->example);
    p->at++;
    return set_value(p, row, value);
}

/* name, name=value, or name with its value in the next argument. */
static enum options_result parse_long(struct parser *p, const char *text)
{
    size_t n = strcspn(text, "=");
    const struct usage_row *row;
    char name[USAGE_NAME_SIZE];

    snprintf(name, sizeof(name), "%.*s", (int)n, text);
    row = usage_find(name);
    if (row == NULL)
        return fail_unknown(p, "--", name);
    if (text[n] == '\0')
        return row->argument ? set_next(p, row) : set_flag(p, row, NULL);
    if (row->argument != NULL)
        return set_value(p, row, text + n + 1);
    if (row->kind != USAGE_HELP)
        return fail(p, "--%s takes no value; write --%s alone", name, name);
    return set_flag(p, row, text + n + 1);
}

/* Letters behind one dash; the first that takes a value takes the rest. */
static enum options_result parse_letters(struct parser *p, const char *text)
{
    enum options_result result = OPTIONS_RUN;

    for (; *text && result == OPTIONS_RUN; text++) {
        const struct usage_row *row = usage_find_letter(*text);

        if (row == NULL) {
            char letter[2] = {*text, '\0'};

            return fail_unknown(p, "-", letter);
        }
        if (row->argument)
            return text[1] ? set_value(p, row, text + 1) : set_next(p, row);
        result = set_flag(p, row, NULL);
    }
    return result;
}

/* What stands behind the options: the script or a command, unless -e was given,
 * and its arguments. */
static enum options_result take_script(struct parser *p)
{
    struct options *options = p->options;
    int options_end = p->at;

    if (options->code) {
        options->source = OPTIONS_CODE;
    } else if (p->argv[p->at] == NULL) {
        return fail(p, "no script given; usage: luaserve [options] app.lua "
                       "(luaserve --help)");
    } else if (strcmp(p->argv[p->at], "-") == 0) {
        options->source = OPTIONS_STDIN;
        p->at++;
    } else if (usage_command(p->argv[p->at])) {
        options->source = OPTIONS_COMMAND;
        options->command = p->argv[p->at++];
    } else {
        options->source = OPTIONS_FILE;
        options->script = p->argv[p->at++];
    }
    options->args = p->argv + 1;
    options->nargs = options_end - 1;
    options->argc = p->argc - p->at;
    options->argv = p->argv + p->at;
    if (options->listens || options->check)
        return OPTIONS_RUN;
    options->listen_default = true;
    return default_listen(p);
}

enum options_result options_parse(int argc, char **argv,
                                  struct options *options, char *error,
                                  size_t size)
{
    struct parser p = {argc, 1, argv, options, error, size};

    *options = OPTIONS_DEFAULT;
    while (p.at < argc && argv[p.at][0] == '-' && argv[p.at][1] != '\0') {
        const char *arg = argv[p.at++] + 1;
        enum options_result result;

        if (strcmp(arg, "-") == 0)
            break;
        result = *arg == '-' ? parse_long(&p, arg + 1) : parse_letters(&p, arg);
        if (result != OPTIONS_RUN)
            return result;
    }
    if (options->reload != NULL)
        return OPTIONS_RELOAD;
    if (check_tls(&p) != OPTIONS_RUN || check_watch(&p) != OPTIONS_RUN)
        return OPTIONS_ERROR;
    return take_script(&p);
}
