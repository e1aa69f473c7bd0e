/* The file is written beside its place and renamed, so that a reader never sees
 * half a number. A pid alone proves nothing, because numbers are used again
 * after a reboot or in a new container: the old file counts only if that
 * process runs the same program, which /proc tells. What is no pid file is
 * never replaced; `--pid-file app.lua` must not cost anybody a script. Left
 * out: a lock against two starts in the same instant; the port they both want
 * settles that. */
#include "proc/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NO_PID = 0, NO_PIDFILE = -1 }; /* of read_pid */
enum { NAME_SIZE = NAME_MAX + 1 };

/* Reads the file at most size - 1 bytes long; NUL-terminates. Returns the
 * count of bytes, or -1 with errno. O_NONBLOCK: a pipe must not hold us. */
static ssize_t read_text(const char *path, char *text, size_t size,
                         bool *regular)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return -1;
    *regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    n = *regular ? read(fd, text, size - 1) : 0;
    close(fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

/* The pid in the file; NO_PID where it is missing or empty; NO_PIDFILE where it
 * holds something else; any error but ENOENT is left to the writing. */
static long read_pid(const char *path)
{
    char text[32], *end;
    bool regular;
    ssize_t n = read_text(path, text, sizeof(text), &regular);
    long pid;

    if (n < 0)
        return NO_PID;
    if (!regular)
        return NO_PIDFILE;
    if (n == 0)
        return NO_PID;
    pid = strtol(text, &end, 10);
    end += strspn(end, " \t\r\n");
    return *end == '\0' && pid > 0 && pid <= INT_MAX ? pid : NO_PIDFILE;
}

/* The name of the program that pid runs, "" where it cannot be told. */
static void program_of(long pid, char name[static NAME_SIZE])
{
    char path[64], exe[PATH_MAX];
    char *base, *gone;
    ssize_t n;

    name[0] = '\0';
    snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
    n = readlink(path, exe, sizeof(exe) - 1);
    if (n <= 0)
        return;
    exe[n] = '\0';
    gone = strstr(exe, " (deleted)"); /* replaced by an upgrade */
    if (gone)
        *gone = '\0';
    base = strrchr(exe, '/');
    base = base ? base + 1 : exe;
    n = (ssize_t)strnlen(base, NAME_SIZE - 1);
    memcpy(name, base, (size_t)n);
    name[n] = '\0';
}

/* The short name of the process, which anybody may read; "" without /proc. */
static void command_of(long pid, char name[static NAME_SIZE])
{
    char path[64];
    bool regular;

    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    if (read_text(path, name, NAME_SIZE, &regular) < 0)
        name[0] = '\0';
}

/* True where pid is another living process and, as far as can be told, one of
 * our own program. */
static bool is_running(long pid)
{
    char theirs[NAME_SIZE], ours[NAME_SIZE];

    if (pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return false;
    program_of(pid, theirs);
    program_of(getpid(), ours);
    if (theirs[0] && ours[0])
        return strcmp(theirs, ours) == 0;
    command_of(pid, theirs);
    command_of(getpid(), ours);
    return strcmp(theirs, ours) == 0;
}

/* Returns 0, or -1 with errno and nothing left behind. */
static int write_and_rename(const char *path, const char *beside)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    int fd, error;

    unlink(beside); /* left by a process of our pid that died here */
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    error = write(fd, text, (size_t)n) == n ? 0 : errno ? errno : ENOSPC;
    if (close(fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(beside, path) == 0)
        return 0;
    if (error == 0)
        error = errno;
    unlink(beside);
    errno = error;
    return -1;
}

int pidfile_write(const char *path, char *error, size_t size)
{
    char beside[PATH_MAX];
    long pid = read_pid(path);
    int n;

    if (pid == NO_PIDFILE) {
        snprintf(error, size,
                 "--pid-file %s: this is no pid file, and is left "
                 "alone; name another file",
                 path);
        return -1;
    }
    if (pid > 0 && is_running(pid)) {
        snprintf(error, size,
                 "--pid-file %s: luaserve runs already as process "
                 "%ld; stop it (kill %ld) or name another file",
                 path, pid, pid);
        return -1;
    }
    n = snprintf(beside, sizeof(beside), "%s.%ld", path, (long)getpid());
    errno = ENAMETOOLONG;
    if ((size_t)n >= sizeof(beside) || write_and_rename(path, beside) != 0) {
        snprintf(error, size, "--pid-file %s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

int pidfile_remove(const char *path)
{
    if (read_pid(path) != getpid()) {
        errno = ESRCH;
        return -1;
    }
    return unlink(path);
}

int pidfile_signal(const char *path, int signo, char *error, size_t size)
{
    long pid;

    errno = 0;
    pid = access(path, R_OK) == 0 ? read_pid(path) : NO_PID;
    if (pid == NO_PID)
        snprintf(error, size, "%s: %s: start the server with --pid-file %s",
                 path, errno == 0 ? "it is empty" : strerror(errno), path);
    else if (pid == NO_PIDFILE)
        snprintf(error, size, "%s holds no process id", path);
    else if (!is_running(pid))
        snprintf(error, size, "%s names process %ld, which is no luaserve",
                 path, pid);
    else if (kill((pid_t)pid, signo) < 0)
        snprintf(error, size, "process %ld of %s: %s", pid, path,
                 strerror(errno));
    else
        return 0;
    return -1;
}
