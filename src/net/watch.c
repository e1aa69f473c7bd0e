/* The descriptor is read in one go when it is ready; an event is a fixed head
 * with a padded name behind it. What is only touched or opened is no event. A
 * file is one when whoever has written it closes it: before that it is half a
 * file. */
#include "net/watch.h"

#include <errno.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { READ_SIZE = 16 * 1024 };

#define EVENTS                                                                 \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_MOVED_FROM | IN_DELETE |    \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

static enum watch_kind kind_of(uint32_t mask)
{
    if (mask & IN_Q_OVERFLOW)
        return WATCH_MISSED;
    if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
        return WATCH_LOST;
    if (mask & (IN_MOVED_FROM | IN_DELETE))
        return WATCH_GONE;
    return mask & IN_CREATE ? WATCH_MADE : WATCH_WRITTEN;
}

static void tell(struct watch *w, const struct inotify_event *in)
{
    struct watch_event event = {.kind = kind_of(in->mask),
                                .folder = in->wd,
                                .name = in->len > 0 ? in->name : "",
                                .is_folder = (in->mask & IN_ISDIR) != 0};

    w->on_event(w, &event);
}

static void on_readable(struct ev_loop *ev, struct ev_io *io, int events)
{
    struct watch *w = (struct watch *)(void *)io;
    char buffer[READ_SIZE]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;
    char *at;

    (void)ev;
    (void)events;
    while (w->loop != NULL && (n = read(io->fd, buffer, sizeof buffer)) > 0) {
        for (at = buffer; w->loop != NULL && at < buffer + n;) {
            const struct inotify_event *in = (const void *)at;

            at += sizeof *in + in->len;
            tell(w, in);
        }
    }
}

int watch_open(struct watch *w, struct loop *loop,
               void (*on_event)(struct watch *w,
                                const struct watch_event *event))
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    w->loop = NULL;
    if (fd < 0)
        return -1;
    w->loop = loop;
    w->on_event = on_event;
    ev_io_init(&w->io, on_readable, fd, EV_READ);
    ev_io_start(loop->ev, &w->io);
    return 0;
}

int watch_add(struct watch *w, const char *path)
{
    if (w->loop == NULL) {
        errno = EBADF;
        return -1;
    }
    return inotify_add_watch(w->io.fd, path, EVENTS);
}

void watch_remove(struct watch *w, int folder)
{
    if (w->loop != NULL)
        (void)inotify_rm_watch(w->io.fd, folder);
}

void watch_close(struct watch *w)
{
    if (w->loop == NULL)
        return;
    ev_io_stop(w->loop->ev, &w->io);
    close(w->io.fd);
    w->loop = NULL;
}
