/* Looked at twice: first as a name (O_PATH), which neither waits for a FIFO nor
 * wakes a device, and only where that is a regular file for reading. The tag is
 * made of the date, to the nanosecond, and the size: the same in all workers,
 * another one when the file is written. */
#include "http/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/mime.h"

static const struct {
    const char *ending, *coding;
} siblings_known[FILE_SIBLINGS] = {
    {".br", "br"}, {".zst", "zstd"}, {".gz", "gzip"}};

static struct file *new_file(const char *path)
{
    size_t n = strlen(path);
    struct file *f = mem_zalloc(sizeof *f + n + 1);

    list_init(&f->link);
    f->uses = 1;
    f->fd = -1;
    memcpy(f->path, path, n);
    return f;
}

void file_drop(void *arg)
{
    struct file *f = arg;
    int i;

    if (--f->uses > 0)
        return;
    for (i = 0; i < FILE_SIBLINGS; i++)
        if (f->siblings[i] != NULL)
            file_drop(f->siblings[i]);
    if (f->fd >= 0)
        close(f->fd);
    mem_free(f->content);
    mem_free(f);
}

/* What a failure to open says of the name. */
static enum file_kind kind_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EXDEV: /* it leads out */
        return FILE_NONE;
    case EACCES:
    case EPERM:
        return FILE_DENIED;
    default:
        return FILE_FAILED;
    }
}

/* Opens what was seen to be a regular file. Returns 0, or -1 with errno. */
static int open_regular(struct file *f, const struct root *root, bool cached,
                        struct stat *st)
{
    f->fd =
        root_descend(root, f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, cached);
    if (f->fd < 0)
        return -1;
    if (fstat(f->fd, st) < 0)
        return -1;
    if (!S_ISREG(st->st_mode)) { /* replaced meanwhile */
        errno = ENOENT;
        return -1;
    }
    return 0;
}

/* Reads what is small; leaves the content NULL where that did not work. Returns
 * false where cached and it would have blocked. */
static bool read_content(struct file *f, bool cached)
{
    struct iovec iov;
    ssize_t got;

    if (f->size > FILE_CONTENT_MAX)
        return true;
    f->content = mem_alloc((size_t)f->size + 1);
    iov = (struct iovec){f->content, (size_t)f->size + 1};
    got = preadv2(f->fd, &iov, 1, 0, cached ? RWF_NOWAIT : 0);
    if (got == f->size) {
        close(f->fd);
        f->fd = -1;
        return true;
    }
    mem_free(f->content);
    f->content = NULL;
    return !(cached && got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP));
}

static void describe(struct file *f, const struct stat *st)
{
    int n;

    f->kind = FILE_REGULAR;
    f->size = st->st_size;
    f->modified = st->st_mtim;
    n = snprintf(f->tag_text, sizeof f->tag_text, "\"%llx-%llx%s%.*s\"",
                 (unsigned long long)st->st_mtim.tv_sec * 1000000000ULL +
                     (unsigned long long)st->st_mtim.tv_nsec,
                 (unsigned long long)st->st_size, f->coding.n ? "-" : "",
                 (int)f->coding.n, f->coding.n ? f->coding.p : "");
    f->tag = (struct str){f->tag_text, (size_t)n};
    clock_format_date(st->st_mtim.tv_sec, f->date_text);
    f->date = (struct str){f->date_text, CLOCK_DATE_SIZE};
    f->type = mime_type(str_of(f->path));
}

/* Looks at one name. Returns false where cached and it would have blocked. */
static bool look(struct file *f, const struct root *root, bool cached)
{
    int fd = root_descend(root, f->path, O_PATH, cached);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        f->error = errno;
        if (fd >= 0)
            close(fd);
        f->kind = kind_of(f->error);
        return !(cached && f->error == EAGAIN);
    }
    close(fd);
    if (S_ISDIR(st.st_mode)) {
        f->kind = FILE_FOLDER;
        return true;
    }
    if (!S_ISREG(st.st_mode)) /* FIFOs, sockets and devices are nobody's */
        return true;
    if (open_regular(f, root, cached, &st) < 0) {
        f->error = errno;
        f->kind = kind_of(f->error);
        return !(cached && f->error == EAGAIN);
    }
    describe(f, &st);
    return read_content(f, cached);
}

static bool is_older(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec ||
           (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* The sibling of f with that ending: a regular file that is not older, since
 * that one was made of something else. */
static bool look_for_sibling(struct file *f, const struct root *root,
                             bool cached, int i)
{
    char path[FILE_PATH_MAX + 8];
    struct file *s;

    snprintf(path, sizeof path, "%s%s", f->path, siblings_known[i].ending);
    s = new_file(path);
    s->coding = str_of(siblings_known[i].coding);
    if (!look(s, root, cached)) {
        file_drop(s);
        return false;
    }
    if (s->kind == FILE_REGULAR && !is_older(s->modified, f->modified)) {
        s->type = f->type;
        f->open += s->fd >= 0;
        f->siblings[i] = s;
    } else {
        file_drop(s);
    }
    return true;
}

struct file *file_look(const struct root *root, const char *path, bool siblings,
                       bool cached)
{
    struct file *f = new_file(path);
    bool done;
    int i;

    if (strlen(path) > FILE_PATH_MAX)
        return f;
    done = look(f, root, cached);
    f->open = f->fd >= 0;
    for (i = 0;
         done && siblings && f->kind == FILE_REGULAR && i < FILE_SIBLINGS; i++)
        done = look_for_sibling(f, root, cached, i);
    if (done)
        return f;
    file_drop(f);
    return NULL;
}

bool file_changed(const struct file *f)
{
    struct stat st;

    return fstat(f->fd, &st) < 0 || st.st_size != f->size ||
           st.st_mtim.tv_sec != f->modified.tv_sec ||
           st.st_mtim.tv_nsec != f->modified.tv_nsec;
}
