/* The pid file: what it holds, which old files it replaces, and which it leaves
 * alone. */
#include "proc/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static char folder[] = "/tmp/luaserve-pidfile-XXXXXX";
static char path[64];
static char error[512];

static void put(const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL)
        return;
    fputs(text, file);
    fclose(file);
}

/* What the file holds, until the next call. */
static struct str contents(void)
{
    static char text[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    return (struct str){text, n < 0 ? 0 : (size_t)n};
}

static bool holds_our_pid(void)
{
    char wanted[32];

    snprintf(wanted, sizeof wanted, "%ld\n", (long)getpid());
    return str_eq(contents(), str_of(wanted));
}

static int write_pid(void)
{
    error[0] = '\0';
    return pidfile_write(path, error, sizeof error);
}

static bool complains(const char *part)
{
    return strstr(error, part) != NULL && strchr(error, '\n') == NULL;
}

/* A process that waits to be killed: our own program, or another one. */
static pid_t start_child(bool ours)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (!ours)
        execlp("sleep", "sleep", "60", (char *)NULL);
    for (;;)
        pause();
}

static void stop_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void writes_and_removes_our_pid(void)
{
    struct stat st;

    unlink(path);
    CHECK_INT(write_pid(), 0);
    CHECK(holds_our_pid());
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0644);
    CHECK_INT(pidfile_remove(path), 0);
    CHECK_INT(access(path, F_OK), -1);
}

static void replaces_its_own_and_an_empty_file(void)
{
    unlink(path);
    CHECK_INT(write_pid(), 0);
    CHECK_INT(write_pid(), 0);
    put("");
    CHECK_INT(write_pid(), 0);
    CHECK(holds_our_pid());
}

static void replaces_the_file_of_a_dead_process(void)
{
    char text[32];
    pid_t pid = start_child(true);

    stop_child(pid);
    snprintf(text, sizeof text, "%ld", (long)pid); /* without a newline */
    put(text);
    CHECK_INT(write_pid(), 0);
    CHECK(holds_our_pid());
}

static void refuses_beside_a_running_one(void)
{
    char text[32];
    pid_t pid = start_child(true);

    snprintf(text, sizeof text, "%ld\n", (long)pid);
    put(text);
    CHECK_INT(write_pid(), -1);
    CHECK(complains("runs already as process"));
    CHECK(complains("kill"));
    CHECK(str_eq(contents(), str_of(text)));
    CHECK_INT(pidfile_remove(path), -1);
    CHECK_INT(errno, ESRCH);
    CHECK(str_eq(contents(), str_of(text)));
    stop_child(pid);
}

/* sleep is execed soon after the fork; until then the child is one of us. */
static void replaces_the_file_of_another_program(void)
{
    char text[32];
    pid_t pid = start_child(false);

    snprintf(text, sizeof text, "%ld\n", (long)pid);
    for (int i = 0; i < 1000; i++) {
        put(text);
        if (write_pid() == 0)
            break;
        usleep(1000);
    }
    CHECK(holds_our_pid());
    stop_child(pid);
}

static void leaves_alone_what_is_no_pid_file(void)
{
    static const char *const texts[] = {"print(1)\n", "12x\n",         "-5\n",
                                        "0\n",        "99999999999\n", "1 2\n"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put(texts[i]);
        CHECK_INT(write_pid(), -1);
        CHECK(complains("no pid file"));
        CHECK(str_eq(contents(), str_of(texts[i])));
    }
    unlink(path);
    CHECK_INT(pidfile_write("/dev/null", error, sizeof error), -1);
    CHECK(complains("no pid file"));
    CHECK_INT(pidfile_write(folder, error, sizeof error), -1);
    CHECK(complains("no pid file"));
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK_INT(write_pid(), -1);
    CHECK(complains("no pid file"));
    unlink(path);
}

static void replaces_a_link_instead_of_following_it(void)
{
    char target[80];
    struct stat st;

    snprintf(target, sizeof target, "%s/target", folder);
    unlink(path);
    CHECK_INT(symlink(target, path), 0);
    CHECK_INT(write_pid(), 0);
    CHECK_INT(lstat(path, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_INT(access(target, F_OK), -1);
    unlink(path);
}

static void says_why_it_cannot_be_written(void)
{
    static char longest[5000];

    CHECK_INT(pidfile_write("/nonexistent/folder/x", error, sizeof error), -1);
    CHECK(complains("/nonexistent/folder/x: No such file or directory"));
    memset(longest, 'x', sizeof longest - 1);
    CHECK_INT(pidfile_write(longest, error, sizeof error), -1);
    CHECK_INT(pidfile_remove("/nonexistent/folder/x"), -1);
}

static void leaves_nothing_beside_it(void)
{
    unlink(path);
    CHECK_INT(rmdir(folder), 0);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/pid", folder);
    RUN(writes_and_removes_our_pid);
    RUN(replaces_its_own_and_an_empty_file);
    RUN(replaces_the_file_of_a_dead_process);
    RUN(refuses_beside_a_running_one);
    RUN(replaces_the_file_of_another_program);
    RUN(leaves_alone_what_is_no_pid_file);
    RUN(replaces_a_link_instead_of_following_it);
    RUN(says_why_it_cannot_be_written);
    RUN(leaves_nothing_beside_it);
    return test_finish();
}
