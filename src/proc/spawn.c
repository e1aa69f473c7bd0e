/* A failing exec is told through a pipe that a good one closes. The child does
 * nothing but system calls between fork and exec, since other threads may have
 * held locks of the C library. Left out: vfork and posix_spawn, which cannot
 * place descriptors that overlap; the primary is small. */
#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLEAR = 64 }; /* above every number that a child's descriptors get */

static void on_child(struct ev_loop *ev, struct ev_child *watcher, int events)
{
    struct child *c = LIST_ITEM(watcher, struct child, watcher);
    int status = watcher->rstatus;

    (void)events;
    if (!WIFEXITED(status) && !WIFSIGNALED(status))
        return;
    ev_child_stop(ev, watcher);
    c->pid = 0;
    if (WIFEXITED(status))
        c->on_exit(c, WEXITSTATUS(status), 0);
    else
        c->on_exit(c, -1, WTERMSIG(status));
}

/* Files that a script has opened are not for its workers. */
static void leave_others(void)
{
    unsigned first = SPAWN_BOARD_FD + 1;

    if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = (int)first; fd < 1024; fd++) /* an old kernel */
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In the child. Everything is first moved out of the way of what it becomes. */
static int place(const struct spawn *how)
{
    int from[5] = {how->input, how->output, how->errors, how->control,
                   how->board};
    int i;

    if (from[0] < 0)
        from[0] = open("/dev/null", O_RDONLY);
    for (i = 0; i < 5; i++)
        if (from[i] >= 0 &&
            (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, CLEAR)) < 0)
            return -1;
    for (i = 0; i < 5; i++)
        if (from[i] >= 0 && dup2(from[i], i) < 0)
            return -1;
    leave_others();
    return 0;
}

static void restore_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
}

static void become(const struct spawn *how, int report)
{
    int error;

    report = fcntl(report, F_DUPFD_CLOEXEC, CLEAR);
    restore_signals();
    if (place(how) == 0 && (how->cwd == NULL || chdir(how->cwd) == 0))
        execve(how->binary, how->argv, how->envp);
    error = errno;
    if (write(report, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* Waits for exec. Returns 0, or the errno of what failed. */
static int outcome(int pipe)
{
    int error = 0;
    ssize_t n;

    do
        n = read(pipe, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == sizeof error ? error : 0;
}

int spawn_start(struct child *c, struct loop *loop, const struct spawn *how)
{
    int ends[2], error;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0)
        become(how, ends[1]);
    error = errno;
    close(ends[1]);
    if (pid > 0 && (error = outcome(ends[0])) != 0)
        waitpid(pid, NULL, 0);
    close(ends[0]);
    if (pid < 0 || error != 0) {
        errno = error;
        return -1;
    }
    c->loop = loop;
    c->pid = pid;
    ev_child_init(&c->watcher, on_child, pid, 0);
    ev_child_start(loop->ev, &c->watcher);
    return 0;
}

void spawn_forget(struct child *c)
{
    if (c->pid == 0)
        return;
    ev_child_stop(c->loop->ev, &c->watcher);
    c->pid = 0;
}
