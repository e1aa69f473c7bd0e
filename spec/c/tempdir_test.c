#include "proc/tempdir.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static char root[] = "/tmp/tempdir_test-XXXXXX";

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void write_in(const char *folder, const char *name)
{
    char path[600];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    CHECK(file != NULL);
    if (file != NULL)
        fclose(file);
}

/* The folder of a child that is killed while a file is in it. */
static void leave_one(char *path, size_t size)
{
    int ends[2], status;
    ssize_t n;
    pid_t pid;

    CHECK_INT(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        const char *mine = tempdir_path();

        write_in(mine, "1");
        n = write(ends[1], mine, strlen(mine));
        (void)n;
        kill(getpid(), SIGKILL);
    }
    n = read(ends[0], path, size - 1);
    path[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    waitpid(pid, &status, 0);
}

static void makes_one_for_its_owner_alone(void)
{
    const char *path = tempdir_path();
    struct stat st;

    CHECK(path != NULL && strncmp(path, root, strlen(root)) == 0);
    CHECK(tempdir_path() == path);
    CHECK_INT(lstat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0700);
}

static void sweeps_what_the_dead_have_left(void)
{
    char left[512];

    leave_one(left, sizeof left);
    CHECK(exists(left));
    tempdir_sweep();
    CHECK(!exists(left));
}

static void leaves_the_living_alone(void)
{
    const char *path = tempdir_path();

    write_in(path, "1");
    tempdir_sweep();
    CHECK(exists(path));
}

static void leaves_what_is_none_alone(void)
{
    char folder[600], link[700];

    snprintf(folder, sizeof folder, "%s/luaserve-others", root);
    snprintf(link, sizeof link, "%s/luaserve-linked", root);
    CHECK_INT(mkdir(folder, 0700), 0);
    write_in(folder, "precious");
    CHECK_INT(symlink(tempdir_path(), link), 0);
    tempdir_sweep();
    CHECK(exists(folder) && exists(link));
    unlink(link);
    CHECK(rmdir(folder) != 0); /* the file is there still */
    snprintf(link, sizeof link, "%s/precious", folder);
    unlink(link);
    CHECK_INT(rmdir(folder), 0);
}

static void removes_its_own_with_what_is_in_it(void)
{
    char path[600];

    snprintf(path, sizeof path, "%s", tempdir_path());
    write_in(path, "1");
    tempdir_close();
    CHECK(!exists(path));
    CHECK(tempdir_path() != NULL); /* a new one */
    tempdir_close();
}

static void is_not_removed_by_a_child(void)
{
    const char *path = tempdir_path();
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        tempdir_close();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(exists(path));
    tempdir_close();
}

static void says_where_it_cannot(void)
{
    setenv("TMPDIR", "/nonexistent", 1);
    CHECK(tempdir_path() == NULL);
}

int main(void)
{
    if (mkdtemp(root) == NULL)
        return 1;
    setenv("TMPDIR", root, 1);
    RUN(makes_one_for_its_owner_alone);
    RUN(sweeps_what_the_dead_have_left);
    RUN(leaves_the_living_alone);
    RUN(leaves_what_is_none_alone);
    RUN(removes_its_own_with_what_is_in_it);
    RUN(is_not_removed_by_a_child);
    RUN(says_where_it_cannot);
    if (rmdir(root) != 0) /* nothing is left */
        return 1;
    return test_finish();
}
