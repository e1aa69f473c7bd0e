/* The composition root. Stopping is in two steps: a first SIGTERM or SIGINT
 * stops accepting and lets requests at work be answered, a second one or the
 * drain timeout ends the process at once. A script that listens to a signal
 * takes its place. */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/server.h"
#include "net/loop.h"
#include "proc/gate.h"
#include "proc/pidfile.h"
#include "proc/privilege.h"
#include "proc/service.h"
#include "proc/store.h"
#include "script/budget.h"
#include "script/l_cluster.h"
#include "script/l_control.h"
#include "script/l_process.h"
#include "script/script.h"

enum { WORKERS_GRACE = 2, GENTLE_GRACE = 5 }; /* seconds */

static const struct options *options;
static struct loop *loop;
static struct work *work;
static struct ev_timer drain_timer;
static struct ev_prepare flush, jobs;

/* ---- stopping */

static bool is_done(void)
{
    return work_out(work) == 0 && l_cluster_workers() == 0;
}

static void on_turn(struct ev_loop *ev, struct ev_prepare *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events;
    if (is_done())
        loop_stop(loop);
}

/* Every request has been answered; what writes a file may still do so, and so
 * may the workers. */
static void on_drained(void)
{
    if (is_done()) {
        loop_stop(loop);
        return;
    }
    if (ev_is_active(&jobs)) /* a gentle drain that was followed by another */
        return;
    ev_prepare_init(&jobs, on_turn);
    ev_prepare_start(loop->ev, &jobs);
    ev_unref(loop->ev);
}

static void end_now(void)
{
    l_cluster_kill(SIGKILL);
    loop_stop(loop);
}

static void on_drain_timeout(struct ev_loop *ev, struct ev_timer *timer,
                             int events)
{
    (void)ev;
    (void)timer;
    (void)events;
    log_warn("something was still at work after --drain-timeout; ending");
    end_now();
}

/* Idle connections have had their time to ask once more. */
static void on_gentle_timeout(struct ev_loop *ev, struct ev_timer *timer,
                              int events)
{
    (void)events;
    server_drain(loop, on_drained);
    ev_timer_init(timer, on_drain_timeout, GENTLE_GRACE, 0);
    ev_timer_start(ev, timer);
}

static void watch_drain(bool gently)
{
    double seconds = options->drain_timeout;

    if (seconds <= 0)
        return;
    if (l_cluster_workers() >
        0) /* they come first, and say what is the matter */
        seconds += WORKERS_GRACE;
    if (ev_is_active(&drain_timer)) { /* it was gentle until now */
        ev_ref(loop->ev);
        ev_timer_stop(loop->ev, &drain_timer);
    }
    ev_timer_init(&drain_timer, gently ? on_gentle_timeout : on_drain_timeout,
                  seconds, 0);
    ev_timer_start(loop->ev, &drain_timer);
    ev_unref(loop->ev);
}

static void drain(int code, bool gently)
{
    static bool gentle;

    if (script_state.draining && (gently || !gentle))
        return;
    if (!script_state.draining) {
        service_notify("STOPPING=1");
        script_state.exit_code = code;
        l_cluster_drain();
    }
    script_state.draining = true;
    gentle = gently;
    if (gently)
        server_retire(loop, on_drained);
    else
        server_drain(loop, on_drained);
    watch_drain(gently);
}

static void reopen_logs(void)
{
    if (log_reopen() < 0)
        log_error("cannot reopen the log: %s", strerror(errno));
    if (access_enabled() && access_reopen() < 0)
        log_error("cannot reopen the access log: %s", strerror(errno));
}

/* A signal to the whole group reaches a worker once itself, and once through
 * its primary's channel: only signals count. */
static void on_signal(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
    static bool signalled;
    int signo = watcher->signum;

    (void)ev;
    (void)events;
    if (script_state.workers > 0 && signo == SIGHUP)
        reopen_logs(); /* the supervisor does the rest */
    if (l_process_emit_signal(signo))
        return;
    if (signo == SIGHUP || signo == SIGUSR1) {
        reopen_logs();
        l_cluster_kill(signo);
        if (signo == SIGHUP)
            script_reload();
    } else if (signalled) {
        script_state.exit_code = 128 + signo;
        end_now();
    } else {
        signalled = true;
        drain(0, false);
    }
}

static void on_watchdog(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    (void)ev;
    (void)timer;
    (void)events;
    service_notify("WATCHDOG=1");
}

/* A loop that does not turn any more says nothing. */
static void feed_watchdog(void)
{
    static struct ev_timer timer;
    double every = service_watchdog() / 2;

    if (every <= 0)
        return;
    ev_timer_init(&timer, on_watchdog, 0, every);
    ev_timer_start(loop->ev, &timer);
    ev_unref(loop->ev); /* no reason to go on */
}

static void watch_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    static struct ev_signal watchers[sizeof signals / sizeof signals[0]];
    size_t i;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* writing says EFBIG instead */
    for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        ev_signal_init(&watchers[i], on_signal, signals[i]);
        ev_signal_start(loop->ev, &watchers[i]);
        ev_unref(loop->ev); /* no reason to go on */
    }
}

/* ---- starting */

static int fail(const char *line)
{
    fprintf(stderr, "luaserve: %s\n", line);
    return -1;
}

static int fail_open(const char *option, const char *path)
{
    fprintf(stderr, "luaserve: --%s %s: %s\n", option, path, strerror(errno));
    return -1;
}

static void on_flush(struct ev_loop *ev, struct ev_prepare *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events;
    access_flush();
}

static int open_logs(void)
{
    log_set_level(options->log_level);
    if (options->log != NULL && log_open(options->log) < 0)
        return fail_open("log", options->log);
    if (options->access_log == NULL)
        return 0;
    if (access_open(options->access_log, options->log_format) < 0)
        return fail_open("access-log", options->access_log);
    ev_prepare_init(&flush, on_flush);
    ev_prepare_start(loop->ev, &flush);
    ev_unref(loop->ev);
    return 0;
}

static void push_texts(lua_State *L, const struct options_texts *texts,
                       const char *field)
{
    unsigned i;

    lua_createtable(L, (int)texts->n, 0);
    for (i = 0; i < texts->n; i++) {
        lua_pushstring(L, texts->text[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, field);
}

/* [-0, +0, m] The certificates of the command line, as field tls of the table
 * on top. */
static void push_tls(lua_State *L)
{
    if (options->tls == NULL && options->tls_cert.n == 0)
        return;
    lua_createtable(L, 0, 3);
    push_texts(L, &options->tls_cert, "cert");
    push_texts(L, &options->tls_key, "key");
    lua_pushboolean(L, options->tls != NULL);
    lua_setfield(L, -2, "dev");
    lua_setfield(L, -2, "tls");
}

/* [-0, +1, m] The addresses of --listen as boot.serve takes them. */
static int push_addresses(lua_State *L)
{
    char text[ADDR_TEXT_SIZE];
    unsigned i;

    lua_createtable(L, (int)options->listens, 0);
    for (i = 0; i < options->listens; i++) {
        const struct options_listen *l = &options->listen[i];
        bool named = l->host[0] != '\0', local = addr_is_unix(&l->addr);

        lua_createtable(L, 0, 2);
        if (!named && local) {
            lua_pushstring(L, addr_format(&l->addr, text) + 5);
            lua_setfield(L, -2, "path");
        } else {
            lua_pushstring(L, named ? l->host : addr_ip(&l->addr, text));
            lua_setfield(L, -2, "host");
            lua_pushinteger(L, named ? l->port : addr_port(&l->addr));
            lua_setfield(L, -2, "port");
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushboolean(L, options->listen_default);
    lua_setfield(L, -2, "usual");
    push_tls(L);
    return 1;
}

/* The script has ended; app, on top of L, is what it returned. */
static void on_returned(lua_State *L)
{
    if (script_serves(L, -1))
        script_serve(L, -1, push_addresses);
    else if (script_state.worker > 0)
        script_loaded();
    /* A primary is ready when its workers are: cluster/primary.lua. */
    if (script_state.worker == 0 && script_state.workers == 0 &&
        l_cluster_workers() == 0)
        service_notify("READY=1");
}

static void configure(const char *binary, int number)
{
    struct script *s = &script_state;

    s->limits = options->limits;
    s->cpu_budget = options->cpu_budget;
    s->max_memory = options->max_memory;
    s->drain = drain;
    s->binary = binary;
    s->drain_timeout = options->drain_timeout;
    s->record = options->record;
    s->record_max = options->record_max;
    s->args = options->args;
    s->nargs = options->nargs;
    s->worker = number;
    s->proxied = options->proxied;
    if (number == 0 && !options->routes && !options->openapi &&
        options->command == NULL) {
        s->watch = options->watch;
        s->workers = options->watch ? 1 : options->workers;
    } else if (number > 0) {
        s->watch = options->watch;
    }
}

/* What root makes is to be used by who it becomes. */
static bool becomes_another(uid_t *uid, gid_t *gid)
{
    *uid = geteuid();
    *gid = getegid();
    return *uid == 0 && (options->user != NULL || options->group != NULL) &&
           privilege_find(options->user, options->group, uid, gid) == 0;
}

static void prepare_store(void)
{
    uid_t uid;
    gid_t gid;

    store_setup(options->store, options->store_size);
    if (becomes_another(&uid, &gid))
        store_give(uid, gid);
}

/* Makes the folder of --record where it is missing. */
static int prepare_record(void)
{
    const char *path = options->record;
    struct stat found;
    uid_t uid;
    gid_t gid;

    if (path == NULL)
        return 0;
    if (mkdir(path, 0700) == 0) {
        if (becomes_another(&uid, &gid) && chown(path, uid, gid) < 0)
            return fail_open("record", path);
    } else if (errno != EEXIST) {
        return fail_open("record", path);
    }
    if (stat(path, &found) == 0 && !S_ISDIR(found.st_mode))
        errno = ENOTDIR;
    else if (access(path, W_OK | X_OK) == 0)
        return 0;
    return fail_open("record", path);
}

/* The file of attach and top, beside the pid file. */
#define CONTROL_SUFFIX ".control"

static void remove_pidfile(void)
{
    gate_close();
    pidfile_remove(options->pid_file);
}

/* Serving comes first: without the socket it goes on. */
static void open_control_socket(void)
{
    char error[OPTIONS_ERROR_SIZE], path[4096];

    snprintf(path, sizeof path, "%s" CONTROL_SUFFIX, options->pid_file);
    if (l_control_listen(path, error, sizeof error) < 0)
        log_warn("no control socket, so attach and top do not work: %s", error);
}

static int settle_process(void)
{
    char error[OPTIONS_ERROR_SIZE];

    if (options->pid_file == NULL || script_state.worker > 0)
        return 0;
    if (pidfile_write(options->pid_file, error, sizeof error) < 0)
        return fail(error);
    (void)at_quick_exit(remove_pidfile); /* process.exit */
    open_control_socket();
    return 0;
}

/* What the command line asks for and this process cannot do, told before the
 * script has had an effect. */
static int check_privileges(void)
{
    char error[OPTIONS_ERROR_SIZE];

    if (privilege_check(options->user, options->group, error, sizeof error) < 0)
        return fail(error);
    return 0;
}

/* After the script has begun: what needs root has been bound. A primary remains
 * what it is, since it binds for its workers, who do this themselves. */
static int drop_privileges(void)
{
    char error[OPTIONS_ERROR_SIZE];

    if (options->user == NULL && options->group == NULL)
        return 0;
    if (script_state.workers > 0 || l_cluster_workers() > 0)
        return 0;
    if (privilege_drop(options->user, options->group, error, sizeof error) < 0)
        return fail(error);
    return 0;
}

static void run(const struct script_source *source)
{
    script_start(source, on_returned);
    if (drop_privileges() < 0)
        script_exit(1);
    loop_run(loop);
    l_process_emit_exit();
}

static void close_all(void)
{
    access_close();
    if (work_out(work) > 0) { /* a thread may be stuck: nobody waits for it */
        fflush(NULL);
        quick_exit(script_state.exit_code);
    }
    if (options->pid_file != NULL && script_state.worker == 0)
        remove_pidfile();
    fflush(stdout);
    budget_close();
    work_free(work);
    script_close();
    store_close();
}

int worker_run(const struct options *o, const char *binary)
{
    int number = l_cluster_begin();
    struct script_source source = {.path = o->script,
                                   .text = o->code,
                                   .command = o->command,
                                   .argv = o->argv,
                                   .argc = o->argc,
                                   .show = o->routes    ? "routes"
                                           : o->openapi ? "openapi"
                                                        : NULL};

    service_begin(number == 0);
    options = o;
    if (!o->check && check_privileges() < 0)
        return 2;
    loop = loop_new();
    if (loop == NULL || open_logs() < 0)
        return 1;
    configure(binary, number);
    prepare_store();
    if (!o->check && prepare_record() < 0)
        return 1;
    work = work_new(loop->ev, (unsigned)o->threads);
    watch_signals();
    feed_watchdog();
    if (script_open(loop, work) < 0)
        return 1;
    if (o->check)
        return script_check(&source);
    if (settle_process() < 0)
        return 1;
    if (budget_open(o->cpu_budget) < 0)
        log_warn("no CPU budget: %s", strerror(errno));
    run(&source);
    close_all();
    return script_state.exit_code;
}
