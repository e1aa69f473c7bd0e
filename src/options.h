/* The command line of one process, as a struct: what to run, where to listen,
 * logs, user, limits. Parsing only reads argv, HOST and PORT; main prints the
 * errors and the help, opens and looks up what the options name. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "http/access.h"
#include "http/limits.h"
#include "net/addr.h"
#include "net/work.h"
#include "usage.h"

#define OPTIONS_AUTO UINT64_MAX

enum {
    OPTIONS_WORKERS_MAX = 512,
    OPTIONS_LISTEN_MAX = 16,
    OPTIONS_TEXTS_MAX = 8,
    OPTIONS_ERROR_SIZE = 512,
    OPTIONS_DRAIN = 30,       /* seconds, where --drain-timeout is not given */
    OPTIONS_DRAIN_WATCHED = 2 /* with --watch: nobody wants to wait */
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_RELOAD, /* the process of options->reload */
    OPTIONS_HELP,
    OPTIONS_VERSION,
    OPTIONS_ERROR
};

enum options_source {
    OPTIONS_FILE,
    OPTIONS_CODE,
    OPTIONS_STDIN,
    OPTIONS_COMMAND
};

struct options_listen {
    char host[ADDR_HOST_SIZE]; /* a name for addr_resolve, or "" */
    uint16_t port;             /* where host is not "" */
    struct addr addr;          /* where host is "" */
};

/* The values of an option that may be repeated. */
struct options_texts {
    const char *text[OPTIONS_TEXTS_MAX];
    unsigned n;
};

/* Strings are borrowed from argv. */
struct options {
    enum options_source source;
    const char *script;  /* OPTIONS_FILE: its path; else NULL */
    const char *code;    /* OPTIONS_CODE: the Lua text; else NULL */
    const char *command; /* OPTIONS_COMMAND: its name, as "new"; else NULL */
    int argc;            /* arguments of the script or the command */
    char **argv;         /* they, with a NULL behind the last */
    int nargs;           /* options, as they stand before the script */
    char **args;

    struct options_listen listen[OPTIONS_LISTEN_MAX];
    bool listen_default; /* no --listen: HOST and PORT, or what is usual */
    unsigned listens;    /* 1 where none was given, 0 only with check */

    struct options_texts tls_cert, tls_key; /* as many of each; PEM files */
    const char *tls; /* "dev": a certificate of our own making; or NULL */

    const char *access_log; /* "-" is standard output; NULL: none */
    enum access_format log_format;
    const char *log; /* NULL: standard error */
    enum log_level log_level;
    const char *record;  /* a folder for requests that failed; NULL: none */
    uint64_t record_max; /* how many of them it keeps */
    const char *store;   /* the store's file; NULL: in shared memory */
    uint64_t store_size; /* bytes; 0: not given */
    const char *user, *group, *pid_file; /* NULL: not given */
    double drain_timeout;                /* seconds; 0: no limit */
    uint64_t threads;                    /* of net/work.h */
    uint64_t workers;   /* 0: one process; OPTIONS_AUTO: as many as CPUs */
    bool watch;         /* one worker, reloaded when a file changes */
    const char *reload; /* a pid file; NULL: not given */
    bool proxied;       /* connections begin with a PROXY header */
    bool check;
    bool routes, openapi; /* print that of the apps, and exit */
    enum usage_page page; /* for OPTIONS_HELP */

    struct limits limits; /* of HTTP */
    double cpu_budget;    /* seconds of CPU for one uninterrupted run of Lua; 0:
                             no limit */
    uint64_t max_memory;  /* bytes of Lua in this process; 0: no limit */
};

#define OPTIONS_DEFAULT                                                        \
    ((struct options){.log_format = ACCESS_COMBINED,                           \
                      .log_level = LOG_LEVEL_INFO,                             \
                      .record_max = 100,                                       \
                      .drain_timeout = OPTIONS_DRAIN,                          \
                      .threads = WORK_THREADS,                                 \
                      .limits = LIMITS_DEFAULT,                                \
                      .cpu_budget = 5,                                         \
                      .max_memory = 512 * 1024 * 1024})

/* Reads argv (argv[0] is the program; ends with a NULL) into *options, which
 * starts from the defaults. OPTIONS_ERROR writes one line without "luaserve: "
 * and newline to error (size bytes, OPTIONS_ERROR_SIZE is enough), and main
 * exits with 2; *options then means nothing. */
enum options_result options_parse(int argc, char **argv,
                                  struct options *options, char *error,
                                  size_t size);

#endif
