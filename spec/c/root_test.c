/* http/root: the kernel's way below a folder and the one by hand open the same
 * things, and neither opens anything outside. */
#include "http/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static char folder[] = "/tmp/root_test-XXXXXX";
static struct root *root;

static const char *at(const char *name)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(at(name), "w");

    CHECK(file != NULL);
    if (file == NULL)
        return;
    fputs(text, file);
    fclose(file);
}

static void make_link(const char *target, const char *name)
{
    CHECK_INT(symlink(target, at(name)), 0);
}

/* The first byte of what fd is; '/' for a folder, else the negative errno. */
static int told_by(int fd)
{
    struct stat st;
    char c = 0;
    int error = errno;

    if (fd < 0)
        return -error;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        c = '/';
    else
        CHECK_INT(read(fd, &c, 1), 1);
    close(fd);
    return c;
}

static int by_kernel(const char *path)
{
    return told_by(root_descend(root, path, O_RDONLY, false));
}

static int by_hand(const char *path)
{
    return told_by(root_walk(root, path, O_RDONLY));
}

static void opens(const char *path, int wanted)
{
    CHECK_INT(by_kernel(path), wanted);
    CHECK_INT(by_hand(path), wanted);
}

static void prepare(void)
{
    char absolute[700];

    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(mkdir(at("www"), 0700), 0);
    CHECK_INT(mkdir(at("www/sub"), 0700), 0);
    CHECK_INT(mkdir(at("www2"), 0700), 0);
    write_file("secret", "s");
    write_file("www2/secret", "s");
    write_file("www/a", "a");
    write_file("www/sub/b", "b");
    make_link("a", "www/to_a");
    make_link("sub", "www/to_sub");
    make_link("../a", "www/sub/to_a");
    make_link("../secret", "www/out");
    make_link("..", "www/up");
    make_link("sub/../../secret", "www/through");
    make_link("loop", "www/loop");
    make_link("../www2", "www/next");
    snprintf(absolute, sizeof absolute, "%s/www/sub/b", folder);
    make_link(absolute, "www/absolute");
    snprintf(absolute, sizeof absolute, "%s/www", folder);
    make_link(absolute, "www/self");
    snprintf(absolute, sizeof absolute, "%s/www2/secret", folder);
    make_link(absolute, "www/neighbour"); /* begins as the root's path does */
    snprintf(absolute, sizeof absolute, "%s/www/../secret", folder);
    make_link(absolute, "www/dotted");
    root = root_open(at("www"));
    CHECK(root != NULL);
}

static void opens_what_is_below(void)
{
    opens("a", 'a');
    opens("sub/b", 'b');
    opens("sub", '/');
    opens("", '/');
    opens("./sub/../a", 'a');
    opens("sub//b", 'b');
    opens("sub/..", '/');
}

static void follows_links_that_stay(void)
{
    opens("to_a", 'a');
    opens("to_sub/b", 'b');
    opens("sub/to_a", 'a');
    opens("to_sub/to_a", 'a');
    opens("absolute", 'b');
    opens("self/sub/b", 'b');
    opens("self/self/a", 'a');
    opens("self", '/');
}

static void opens_nothing_outside(void)
{
    opens("..", -EXDEV);
    opens("../secret", -EXDEV);
    opens("sub/../../secret", -EXDEV);
    opens("out", -EXDEV);
    opens("up", -EXDEV);
    opens("up/secret", -EXDEV);
    opens("through", -EXDEV);
    opens("next/secret", -EXDEV);
    opens("neighbour", -EXDEV);
    opens("dotted", -EXDEV);
    opens("self/../secret", -EXDEV);
}

static void says_what_is_wrong(void)
{
    char deep[3 * (ROOT_DEPTH + 8)];
    int i;

    opens("none", -ENOENT);
    opens("none/a", -ENOENT);
    opens("a/b", -ENOTDIR);
    opens("loop", -ELOOP);
    for (i = 0; i < ROOT_DEPTH + 4; i++)
        memcpy(deep + 2 * i, "x/", 3);
    CHECK_INT(by_hand(deep), -ENOENT);
    CHECK(root_open(at("secret")) == NULL && errno == ENOTDIR);
    CHECK(root_open(at("none")) == NULL && errno == ENOENT);
}

static void leaves_no_descriptor_open(void)
{
    int before = dup(0), after;

    close(before);
    opens("self/sub/b", 'b');
    opens("through", -EXDEV);
    opens("loop", -ELOOP);
    after = dup(0);
    close(after);
    CHECK_INT(after, before);
}

int main(void)
{
    char command[64];

    RUN(prepare);
    RUN(opens_what_is_below);
    RUN(follows_links_that_stay);
    RUN(opens_nothing_outside);
    RUN(says_what_is_wrong);
    RUN(leaves_no_descriptor_open);
    root_drop(root);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
    return test_finish();
}
