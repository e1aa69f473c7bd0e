/* A file is read until it ends, and its size is only a hint for how much memory
 * to take: those of /proc say 0, a FIFO has none, a log grows meanwhile. Copies
 * stay in the kernel (copy_file_range), which shares blocks where the file
 * system can; where it cannot copy that pair of files they go through memory.
 */
#include "script/fs_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPY_SIZE = 1024 * 1024 * 1024 }; /* bytes of one copy_file_range */

int fs_data_open(const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* ---- reading */

static ssize_t read_some(int fd, char *p, size_t n)
{
    ssize_t got;

    do
        got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Makes job->data size bytes long. Returns 0, or -1 with errno. */
static int resize(struct fs_job *job, size_t size)
{
    char *data = realloc(job->data, size);

    if (data == NULL)
        return -1;
    job->data = data;
    return 0;
}

/* Reads to the end, with that much memory at first. One byte more than a file
 * has lets the second read find its end. Returns 0, or -1 with errno. */
static int read_all(struct fs_job *job, int fd, size_t capacity)
{
    ssize_t n;

    if (resize(job, capacity) < 0)
        return -1;
    for (;;) {
        n = read_some(fd, job->data + job->size, capacity - job->size);
        if (n <= 0)
            return n < 0 ? -1 : 0;
        job->size += (size_t)n;
        if (job->size > job->limit) {
            errno = EFBIG;
            return -1;
        }
        if (job->size < capacity)
            continue;
        capacity *= 2;
        if (resize(job, capacity) < 0)
            return -1;
    }
}

/* Reads what fd is. A failure is that of a read, which knows no path. */
static void read_file(struct fs_job *job, int fd)
{
    size_t capacity = FS_READ_SIZE;
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        if ((uint64_t)st.st_size > job->limit) {
            job->error = EFBIG;
            job->syscall = "read";
            return;
        }
        capacity = (size_t)st.st_size + 1;
    }
    if (read_all(job, fd, capacity) < 0) {
        fs_job_fail(job, "read");
        job->no_path = job->error == EISDIR; /* as in Node */
    }
}

void fs_data_read_file(struct fs_job *job)
{
    int fd = fs_data_open(job->args.path, O_RDONLY, 0);

    if (fd < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    read_file(job, fd);
    close(fd);
}

/* ---- writing */

int fs_data_write(int fd, struct str data, int64_t offset)
{
    while (data.n > 0) {
        ssize_t n = offset < 0 ? write(fd, data.p, data.n)
                               : pwrite(fd, data.p, data.n, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data = str_skip(data, (size_t)n);
        offset += offset < 0 ? 0 : n;
    }
    return 0;
}

void fs_data_write_file(struct fs_job *job)
{
    int fd = fs_data_open(job->args.path, job->args.flags, job->args.mode);

    if (fd < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    if (fs_data_write(fd, job->args.data, -1) < 0)
        fs_job_fail(job, "write");
    if (close(fd) < 0 && job->error == 0 && errno != EINTR)
        fs_job_fail(job, "close"); /* a full disk, by NFS */
}

/* ---- copying */

/* Returns 0, or -1 with errno. */
static int copy_through_memory(int from, int to)
{
    char *chunk = malloc(FS_READ_SIZE);
    ssize_t n = -1;

    if (chunk == NULL)
        return -1;
    while ((n = read_some(from, chunk, FS_READ_SIZE)) > 0)
        if (fs_data_write(to, (struct str){chunk, (size_t)n}, -1) < 0) {
            n = -1;
            break;
        }
    free(chunk);
    return n < 0 ? -1 : 0;
}

/* What says 0 at once may be of /proc, whose files look empty to the kernel.
 * Returns 0, or -1 with errno. */
static int copy_bytes(int from, int to)
{
    bool first = true;
    ssize_t n;

    while ((n = copy_file_range(from, NULL, to, NULL, COPY_SIZE, 0)) > 0)
        first = false;
    if (n == 0 && !first)
        return 0;
    if (n < 0 && (!first || errno == ENOSPC || errno == EIO))
        return -1;
    return copy_through_memory(from, to);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Copies into the open file to, whatever it held, unless it is the same. */
static int replace_bytes(int from, int to, const struct stat *source)
{
    struct stat st;

    if (fstat(to, &st) < 0)
        return -1;
    if (is_same(source, &st))
        return 0;
    if (S_ISREG(st.st_mode) && ftruncate(to, 0) < 0)
        return -1;
    if (S_ISREG(st.st_mode) && fchmod(to, source->st_mode & 07777) < 0 &&
        errno != EPERM) /* somebody else's file keeps its mode */
        return -1;
    return copy_bytes(from, to);
}

/* Opens dest; *made is set where it was not there. */
static int open_dest(const struct fs_job *job, mode_t mode, bool *made)
{
    const char *dest = job->args.dest;
    int fd = fs_data_open(dest, O_WRONLY | O_CREAT | O_EXCL, mode);

    *made = fd >= 0;
    if (fd < 0 && errno == EEXIST && job->args.flags == 0)
        fd = fs_data_open(dest, O_WRONLY, 0);
    return fd;
}

static void copy_from(struct fs_job *job, int from)
{
    struct stat st;
    bool made;
    int to;

    if (fstat(from, &st) < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        job->error = EISDIR;
        return;
    }
    to = open_dest(job, st.st_mode & 0777, &made);
    if (to < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    if (replace_bytes(from, to, &st) < 0)
        fs_job_fail(job, NULL);
    if (close(to) < 0 && job->error == 0 && errno != EINTR)
        fs_job_fail(job, NULL);
    if (job->error != 0 && made)
        unlink(job->args.dest);
}

void fs_data_copy_file(struct fs_job *job)
{
    int from = fs_data_open(job->args.path, O_RDONLY, 0);

    if (from < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    copy_from(job, from);
    close(from);
}
