/* The command line, and what it starts. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/head.h"
#include "net/loop.h"
#include "options.h"
#include "proc/pidfile.h"
#include "script/script.h"
#include "usage.h"
#include "version.h"
#include "worker.h"

static int version(void)
{
    printf("luaserve %s (%s, libev %s, llhttp %s, OpenSSL %s)\n", VERSION,
           script_engine(), loop_library(), head_library(), script_crypto());
    return 0;
}

/* Has the server of the pid file take new code. */
static int reload(const char *path)
{
    char error[OPTIONS_ERROR_SIZE];

    if (pidfile_signal(path, SIGHUP, error, sizeof error) == 0)
        return 0;
    fprintf(stderr, "luaserve: %s\n", error);
    return 1;
}

int main(int argc, char **argv)
{
    static char binary[4096];
    static struct options options;
    char error[OPTIONS_ERROR_SIZE];
    ssize_t n = readlink("/proc/self/exe", binary, sizeof binary - 1);

    mem_tune();
    /* What a script prints is there at once, through a pipe too. */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    switch (options_parse(argc, argv, &options, error, sizeof error)) {
    case OPTIONS_HELP:
        usage_print(options.page, stdout);
        return 0;
    case OPTIONS_VERSION:
        return version();
    case OPTIONS_ERROR:
        fprintf(stderr, "luaserve: %s\n", error);
        return 2;
    case OPTIONS_RELOAD:
        return reload(options.reload);
    case OPTIONS_RUN:
        break;
    }
    return worker_run(&options, n > 0 ? binary : argv[0]);
}
