/* A manager that is not there, or does not listen, is no reason to fail: what
 * is said to it is lost. */
#include "proc/service.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 256 }; /* descriptors: sd_listen_fds(3) */

static struct sockaddr_un manager;
static socklen_t manager_size; /* 0: none */
static int sockets;
static double watchdog;

static bool is_ours(const char *name)
{
    const char *pid = getenv(name);

    return pid == NULL || strtol(pid, NULL, 10) == (long)getpid();
}

/* An abstract name begins with @, where the kernel wants a NUL. */
static void read_manager(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path != NULL ? strlen(path) : 0;

    if (n < 2 || n >= sizeof manager.sun_path ||
        (path[0] != '/' && path[0] != '@'))
        return;
    manager.sun_family = AF_UNIX;
    memcpy(manager.sun_path, path, n + 1);
    if (path[0] == '@')
        manager.sun_path[0] = '\0';
    manager_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
                               (path[0] == '/'));
}

static void read_sockets(void)
{
    const char *text = getenv("LISTEN_FDS");
    long n = text != NULL ? strtol(text, NULL, 10) : 0;

    if (n <= 0 || getenv("LISTEN_PID") == NULL || !is_ours("LISTEN_PID"))
        return;
    for (sockets = 0; sockets < n && sockets < MOST; sockets++) {
        int fd = FIRST + sockets;

        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
            break;
    }
}

void service_begin(bool mine)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "LISTEN_FDS",
                                        "LISTEN_PID",    "LISTEN_FDNAMES",
                                        "WATCHDOG_USEC", "WATCHDOG_PID"};
    const char *usec = getenv("WATCHDOG_USEC");
    size_t i;

    if (mine) {
        read_manager();
        read_sockets();
        if (usec != NULL && is_ours("WATCHDOG_PID"))
            watchdog = strtod(usec, NULL) / 1e6;
    }
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

int service_socket(int i)
{
    return i >= 0 && i < sockets ? FIRST + i : -1;
}

void service_notify(const char *text)
{
    int fd;

    if (manager_size == 0)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager,
           manager_size);
    close(fd);
}

double service_watchdog(void)
{
    return watchdog;
}
