/* The mode of the file is set before the socket is bound, so there is no moment
 * in which others could connect; that the peer is the same user is asked once
 * more for each connection, since files are copied and folders are shared in
 * containers. Left out: authorization finer than that. Who may connect may also
 * attach a debugger to the process. */
#include "proc/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

enum { BACKLOG = 16, ACCEPTS = 16 };

static struct ev_io accepting;
static struct loop *at;
static int listening = -1;
static char name[PATH_MAX];
static struct stat ours; /* the file, as it was made */
static void (*on_accepted)(int fd);

/* Fills in the address of path. Returns 0, or -1 with errno. */
static int address_of(const char *path, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address->sun_path, path, strlen(path));
    return 0;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int gate_connect(const char *path)
{
    struct sockaddr_un address;
    int fd, error;

    if (address_of(path, &address) < 0 || (fd = new_socket()) < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Removes a socket that a dead process has left. Returns 0 where the way is
 * free, or -1 with errno. */
static int make_way(const char *path)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -1;
    errno = EEXIST;
    if (!S_ISSOCK(st.st_mode))
        return -1;
    fd = gate_connect(path);
    if (fd >= 0) {
        close(fd);
        errno = EADDRINUSE;
        return -1;
    }
    return errno == ECONNREFUSED ? unlink(path) : -1;
}

static bool is_welcome(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    log_warn("user %ld (process %ld) was refused at the control socket",
             (long)peer.uid, (long)peer.pid);
    return false;
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    int i, fd;

    (void)ev;
    (void)events;
    for (i = 0; i < ACCEPTS; i++) {
        fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (is_welcome(fd))
            on_accepted(fd);
        else
            close(fd);
    }
}

/* Binds and listens. Returns 0, or -1 with errno. */
static int listen_at(const char *path)
{
    struct sockaddr_un address;

    if (address_of(path, &address) < 0 || make_way(path) < 0)
        return -1;
    listening = new_socket();
    if (listening >= 0 && fchmod(listening, 0600) == 0 &&
        bind(listening, (struct sockaddr *)&address, sizeof address) == 0 &&
        lstat(path, &ours) == 0 && listen(listening, BACKLOG) == 0)
        return 0;
    return -1;
}

int gate_open(struct loop *loop, const char *path, void (*on_client)(int fd),
              char *error, size_t size)
{
    if (listen_at(path) < 0) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        if (listening >= 0)
            close(listening);
        listening = -1;
        return -1;
    }
    at = loop;
    on_accepted = on_client;
    if (path[0] == '/' || realpath(path, name) == NULL)
        snprintf(name, sizeof name, "%s", path);
    ev_io_init(&accepting, on_readable, listening, EV_READ);
    ev_io_start(loop->ev, &accepting);
    ev_unref(loop->ev);
    return 0;
}

void gate_close(void)
{
    struct stat st;

    if (listening < 0)
        return;
    ev_ref(at->ev);
    ev_io_stop(at->ev, &accepting);
    close(listening);
    listening = -1;
    if (lstat(name, &st) == 0 && st.st_ino == ours.st_ino &&
        st.st_dev == ours.st_dev)
        unlink(name);
}
