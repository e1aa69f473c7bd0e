/* TCP_NODELAY is set once, on the listening socket, because Linux lets accepted
 * sockets inherit it: one system call less for each connection. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { REST_MILLISECONDS = 100 };

/* Kept open so that there is one descriptor left when there are none. */
static int reserve = -1;

static void on_rest(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct listener *l = LIST_ITEM(timer, struct listener, rest);

    (void)events;
    if (!l->paused)
        ev_io_start(ev, &l->io);
}

/* No descriptors: tells one client so by closing, then waits for others to
 * close theirs (libev's manual, "The special problem of accept()ing when you
 * can't"). */
static void shed(struct listener *l, int why)
{
    static double logged;

    if (loop_now(l->loop) - logged > 10) {
        logged = loop_now(l->loop);
        log_warn("cannot accept connections: %s; raise `ulimit -n` or lower "
                 "--max-connections",
                 strerror(why));
    }
    if (reserve >= 0) {
        close(reserve);
        reserve = accept4(l->io.fd, NULL, NULL, SOCK_CLOEXEC);
        if (reserve >= 0)
            close(reserve);
        reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    ev_io_stop(l->loop->ev, &l->io);
    ev_timer_set(&l->rest, REST_MILLISECONDS / 1000.0, 0);
    ev_timer_start(l->loop->ev, &l->rest);
}

void listener_accept(struct listener *l)
{
    struct addr peer;
    int i, fd;

    for (i = 0; i < LISTENER_BATCH && !l->paused; i++) {
        peer.len = sizeof peer.sa;
        fd = accept4(l->io.fd, (struct sockaddr *)&peer.sa, &peer.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            l->on_accept(l, fd, &peer);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                 errno == ENOMEM)
            return shed(l, errno);
        else if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO)
            return;
    }
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    (void)ev;
    (void)events;
    listener_accept(LIST_ITEM(io, struct listener, io));
}

/* A Unix socket's file outlives its process; bind refuses it for ever. */
static void remove_stale(const struct addr *addr)
{
    const struct sockaddr_un *un = (const void *)&addr->sa;
    struct stat st;
    int fd;

    if (stat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&addr->sa, addr->len) < 0 &&
        errno == ECONNREFUSED)
        unlink(un->sun_path);
    close(fd);
}

static int open_socket(const struct addr *addr, const char **syscall)
{
    int family = addr->sa.ss_family, one = 1, zero = 0;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *syscall = "socket";
    if (fd < 0)
        return -1;
    if (family == AF_UNIX) {
        remove_stale(addr);
        return fd;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    return fd;
}

static int bind_and_listen(int fd, const struct addr *addr, int backlog,
                           const char **syscall)
{
    *syscall = "bind";
    if (bind(fd, (const struct sockaddr *)&addr->sa, addr->len) < 0)
        return -1;
    *syscall = "listen";
    return listen(fd, backlog);
}

static int close_failed(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

int listener_bind(const struct addr *addr, int backlog, bool many,
                  const char **syscall)
{
    int fd = open_socket(addr, syscall), one = 1;

    if (fd < 0)
        return -1;
    if (many)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind_and_listen(fd, addr, backlog, syscall) < 0)
        return close_failed(fd);
    return fd;
}

int listener_probe(struct addr *addr, const char **syscall)
{
    int fd = open_socket(addr, syscall);

    if (fd < 0)
        return -1;
    *syscall = "bind";
    if (bind(fd, (const struct sockaddr *)&addr->sa, addr->len) < 0)
        return close_failed(fd);
    addr->len = sizeof addr->sa;
    getsockname(fd, (struct sockaddr *)&addr->sa, &addr->len);
    close(fd);
    return 0;
}

static void bury(struct defer *d)
{
    mem_free(LIST_ITEM(d, struct listener, burial));
}

struct listener *listener_adopt(struct loop *loop, int fd)
{
    struct listener *l;
    int listens = 0;
    socklen_t size = sizeof listens;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
        return NULL;
    if (!listens) {
        errno = EINVAL;
        return NULL;
    }
    if (reserve < 0)
        reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l = mem_zalloc(sizeof *l);
    list_init(&l->link);
    l->loop = loop;
    l->adopted = true;
    l->addr.len = sizeof l->addr.sa;
    getsockname(fd, (struct sockaddr *)&l->addr.sa, &l->addr.len);
    loop_defer_init(&l->burial, bury);
    ev_init(&l->rest, on_rest);
    ev_io_init(&l->io, on_readable, fd, EV_READ);
    ev_io_start(loop->ev, &l->io);
    return l;
}

struct listener *listener_open(struct loop *loop, const struct addr *addr,
                               int backlog, const char **syscall)
{
    int fd = listener_bind(addr, backlog, false, syscall);
    struct listener *l = fd < 0 ? NULL : listener_adopt(loop, fd);

    if (l != NULL)
        l->adopted = false;
    return l;
}

void listener_close(struct listener *l)
{
    ev_io_stop(l->loop->ev, &l->io);
    ev_timer_stop(l->loop->ev, &l->rest);
    if (addr_is_unix(&l->addr) && !l->adopted)
        unlink(((struct sockaddr_un *)(void *)&l->addr.sa)->sun_path);
    close(l->io.fd);
    list_remove(&l->link);
    l->paused = true;
    loop_defer(l->loop, &l->burial);
}

void listener_pause(struct listener *l)
{
    l->paused = true;
    ev_io_stop(l->loop->ev, &l->io);
}

void listener_resume(struct listener *l)
{
    l->paused = false;
    if (!ev_is_active(&l->rest))
        ev_io_start(l->loop->ev, &l->io);
}
