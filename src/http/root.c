/* openat2 does it all in one call where the kernel has it (5.6, and 5.12 for
 * RESOLVE_CACHED). It takes a link to an absolute path for one that leads out,
 * also where it does not; such links, common in deployments ("current" ->
 * "/srv/app/releases/7"), are then walked by hand. The walk keeps a descriptor
 * of each folder it is in, so that ".." is the folder it came from, whatever
 * has been renamed meanwhile. */
#include "http/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

struct root *root_open(const char *path)
{
    int fd, error;
    struct root *root;
    struct stat st;
    char real[PATH_MAX];

    if (realpath(path, real) == NULL)
        return NULL;
    fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0) {
        error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    root = mem_alloc(sizeof *root + strlen(real) + 1);
    *root =
        (struct root){.uses = 1, .fd = fd, .dev = st.st_dev, .ino = st.st_ino};
    strcpy(root->path, real);
    return root;
}

void root_drop(struct root *root)
{
    if (root == NULL || --root->uses > 0)
        return;
    close(root->fd);
    mem_free(root);
}

/* ---- by hand */

struct walk {
    const struct root *root;
    int folders[ROOT_DEPTH]; /* descriptors; the first one is root's */
    int depth, links;
    char rest[PATH_MAX]; /* what is still to be walked */
};

static int fail(int error)
{
    errno = error;
    return -1;
}

static void leave(struct walk *w, int depth)
{
    while (w->depth > depth)
        close(w->folders[--w->depth]);
}

/* Puts the target of a link in front of what is still to be walked. */
static int follow(struct walk *w, int link)
{
    char target[PATH_MAX], joined[PATH_MAX];
    ssize_t n = readlinkat(link, "", target, sizeof target - 1);
    size_t root = strlen(w->root->path), rest = strlen(w->rest);
    char *from = target;

    if (n < 0)
        return -1;
    if (++w->links > ROOT_LINKS)
        return fail(ELOOP);
    target[n] = '\0';
    if (target[0] == '/') {
        if (root > 1) {
            if (strncmp(target, w->root->path, root) != 0 ||
                (target[root] != '/' && target[root] != '\0'))
                return fail(EXDEV);
            from += root;
        }
        leave(w, 1);
    }
    if (strlen(from) + 1 + rest >= sizeof joined)
        return fail(ENAMETOOLONG);
    stpcpy(stpcpy(stpcpy(joined, from), "/"), w->rest);
    strcpy(w->rest, joined);
    return 0;
}

/* Cuts the next name off w->rest; returns false at the end. */
static bool next_name(struct walk *w, char name[static NAME_MAX + 2])
{
    char *p = w->rest, *end;
    size_t n;

    while (*p == '/')
        p++;
    end = strchrnul(p, '/');
    n = (size_t)(end - p);
    if (n > NAME_MAX)
        n = NAME_MAX + 1; /* too long for any file */
    memcpy(name, p, n);
    name[n] = '\0';
    memmove(w->rest, end, strlen(end) + 1);
    return n > 0;
}

static int enter(struct walk *w, int folder)
{
    if (w->depth == ROOT_DEPTH) {
        close(folder);
        return fail(ELOOP);
    }
    w->folders[w->depth++] = folder;
    return 0;
}

/* Goes one name further. Returns 0, or -1 with errno. */
static int step(struct walk *w, const char *name)
{
    struct stat st;
    int fd, done;

    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        if (w->depth == 1)
            return fail(EXDEV);
        leave(w, w->depth - 1);
        return 0;
    }
    fd =
        openat(w->folders[w->depth - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
        done = follow(w, fd);
        close(fd);
        return done;
    }
    return enter(w, fd);
}

/* Opens what w has come to. A file is opened by its name in its folder: O_PATH
 * descriptors cannot be opened again without /proc. */
static int finish(struct walk *w, const char *last, int flags)
{
    int fd = w->folders[w->depth - 1], end;

    if ((flags & O_PATH) || w->depth == 1 || last[0] == '\0')
        return w->depth == 1 ? openat(fd, ".", flags | O_CLOEXEC)
                             : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    end =
        openat(w->folders[w->depth - 2], last, flags | O_NOFOLLOW | O_CLOEXEC);
    return end;
}

int root_walk(const struct root *root, const char *path, int flags)
{
    struct walk w = {.root = root};
    char name[NAME_MAX + 2], last[NAME_MAX + 2] = "";
    int fd = -1, ok = 0, depth;

    if (strlen(path) >= sizeof w.rest)
        return fail(ENAMETOOLONG);
    strcpy(w.rest, path);
    w.folders[0] = root->fd;
    w.depth = 1;
    while (ok == 0 && next_name(&w, name)) {
        depth = w.depth;
        ok = step(&w, name);
        if (w.depth > depth)
            strcpy(last, name);
        else if (strcmp(name, "..") == 0)
            strcpy(last, "."); /* a folder, however it is called */
    }
    if (ok == 0)
        fd = strcmp(last, ".") == 0 && w.depth > 1
                 ? openat(w.folders[w.depth - 1], ".", flags | O_CLOEXEC)
                 : finish(&w, last, flags);
    ok = errno;
    leave(&w, 1);
    errno = ok;
    return fd;
}

/* ---- by the kernel */

int root_descend(const struct root *root, const char *path, int flags,
                 bool cached)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                                      (cached ? RESOLVE_CACHED : 0)};
    long fd =
        syscall(SYS_openat2, root->fd, *path ? path : ".", &how, sizeof how);

    if (fd >= 0)
        return (int)fd;
    switch (errno) {
    case ENOSYS: /* an old kernel, */
    case EPERM:  /* a filter that does not know the call, */
    case EINVAL: /* a kernel without RESOLVE_CACHED, */
    case E2BIG:
    case EXDEV: /* or perhaps a link to an absolute path */
        break;
    default:
        return -1;
    }
    if (cached)
        return fail(EAGAIN);
    return root_walk(root, path, flags);
}
