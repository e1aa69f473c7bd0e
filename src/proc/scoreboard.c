/* A memfd, not a file: it goes with the last process that has it mapped, needs
 * no name and no place. Its pages are allocated at once, so that writing to it
 * can never be a SIGBUS. */
#include "proc/scoreboard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAGIC = 0x6c737362, VERSION = 1 };

static struct scoreboard *map(int fd)
{
    void *p = mmap(NULL, sizeof(struct scoreboard), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

struct scoreboard *scoreboard_new(int *fd)
{
    struct scoreboard *s = NULL;
    int error;

    *fd = memfd_create("luaserve-scoreboard", MFD_CLOEXEC);
    if (*fd < 0)
        return NULL;
    error = posix_fallocate(*fd, 0, sizeof *s);
    if (error == 0 && (s = map(*fd)) == NULL)
        error = errno;
    if (s == NULL) {
        close(*fd);
        errno = error;
        return NULL;
    }
    s->magic = MAGIC;
    s->version = VERSION;
    s->size = sizeof *s;
    return s;
}

struct scoreboard *scoreboard_join(int fd)
{
    struct scoreboard *s;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return NULL;
    if (st.st_size != sizeof *s) {
        errno = EPROTO;
        return NULL;
    }
    s = map(fd);
    if (s == NULL ||
        (s->magic == MAGIC && s->version == VERSION && s->size == sizeof *s))
        return s;
    munmap(s, sizeof *s);
    errno = EPROTO;
    return NULL;
}

int scoreboard_take(struct scoreboard *s, int64_t pid)
{
    int i;

    for (i = 0; i < SCOREBOARD_ROWS; i++)
        if (atomic_load(&s->rows[i].pid) == 0) {
            scoreboard_give(s, i);
            atomic_store(&s->rows[i].pid, pid);
            return i;
        }
    return -1;
}

void scoreboard_give(struct scoreboard *s, int row)
{
    struct scoreboard_row *r = &s->rows[row];

    atomic_store(&r->beat, 0);
    atomic_store(&r->requests, 0);
    atomic_store(&r->connections, 0);
    atomic_store(&r->memory, 0);
    atomic_store(&r->lag, 0);
    atomic_store(&r->pid, 0);
}
