/* Giving up root. Each case runs in a child, since there is no way back; those
 * that need root are left out where the suite runs without it. */
#include "proc/privilege.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static char error[512];

static int drop(const char *user, const char *group)
{
    error[0] = '\0';
    return privilege_drop(user, group, error, sizeof error);
}

static bool complains(const char *part)
{
    return strstr(error, part) != NULL && strchr(error, '\n') == NULL;
}

/* Runs test in a child and returns whether it returned true. */
static bool in_child(bool (*test)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(test() ? 0 : 1);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const struct passwd *nobody(void)
{
    return getpwnam("nobody");
}

static void does_nothing_without_names(void)
{
    CHECK_INT(drop(NULL, NULL), 0);
}

static void names_who_is_unknown(void)
{
    CHECK_INT(drop("no-such-user", NULL), -1);
    CHECK(complains("--user: there is no user no-such-user"));
    CHECK_INT(drop(NULL, "no-such-group"), -1);
    CHECK(complains("--group: there is no group no-such-group"));
    CHECK_INT(drop("root", "no-such-group"), -1);
    CHECK(complains("no-such-group"));
}

static bool becomes_nobody(void)
{
    gid_t groups[64];
    int n;

    if (drop("nobody", NULL) != 0)
        return false;
    n = getgroups(64, groups);
    for (int i = 0; i < n; i++) {
        if (groups[i] == 0)
            return false; /* root's group was kept */
    }
    return getuid() == nobody()->pw_uid && geteuid() == getuid() &&
           getgid() == nobody()->pw_gid && getegid() == getgid() &&
           setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0;
}

static void becomes_another_user_for_good(void)
{
    if (geteuid() == 0)
        CHECK(in_child(becomes_nobody));
}

static bool takes_the_group(void)
{
    return drop("nobody", "daemon") == 0 &&
           getgid() == getgrnam("daemon")->gr_gid &&
           getuid() == nobody()->pw_uid;
}

static bool takes_the_group_alone(void)
{
    gid_t groups[64];

    return drop(NULL, "daemon") == 0 && getuid() == 0 &&
           getgid() == getgrnam("daemon")->gr_gid &&
           getgroups(64, groups) == 1 && groups[0] == getgid();
}

static void changes_the_group(void)
{
    if (geteuid() != 0)
        return;
    CHECK(in_child(takes_the_group));
    CHECK(in_child(takes_the_group_alone));
}

static bool may_name_itself(void)
{
    int first = drop("nobody", NULL), again = drop("nobody", NULL);

    return first == 0 && again == 0 &&
           drop(NULL, getgrgid(getgid())->gr_name) == 0;
}

static bool is_refused_without_root(void)
{
    return drop("nobody", NULL) == 0 && drop("root", NULL) == -1 &&
           complains("--user root: this needs root") &&
           drop(NULL, "root") == -1 &&
           complains("--group root: this needs root");
}

static int check(const char *user, const char *group)
{
    error[0] = '\0';
    return privilege_check(user, group, error, sizeof error);
}

static void checks_names_ahead(void)
{
    CHECK_INT(check(NULL, NULL), 0);
    CHECK_INT(check("no-such-user", NULL), -1);
    CHECK(complains("--user: there is no user no-such-user"));
    CHECK_INT(check("root", "no-such-group"), -1);
    CHECK(complains("--group: there is no group no-such-group"));
}

static bool is_told_ahead_without_root(void)
{
    return check("nobody", "daemon") == 0 && geteuid() == 0 &&
           drop("nobody", NULL) == 0 && check("nobody", NULL) == 0 &&
           check("root", NULL) == -1 &&
           complains("--user root: this needs root") &&
           check(NULL, "daemon") == -1 &&
           complains("--group daemon: this needs root");
}

static void checks_rights_ahead(void)
{
    if (geteuid() == 0)
        CHECK(in_child(is_told_ahead_without_root));
}

static void needs_root_but_for_who_one_is(void)
{
    if (geteuid() != 0)
        return;
    CHECK(in_child(may_name_itself));
    CHECK(in_child(is_refused_without_root));
}

static bool root_may_stay_root(void)
{
    return drop("root", NULL) == 0 && geteuid() == 0;
}

static void takes_root_at_its_word(void)
{
    if (geteuid() == 0)
        CHECK(in_child(root_may_stay_root));
}

/* With this bit a change of user keeps capabilities, so root can be had again.
 */
static bool notices_kept_capabilities(void)
{
    if (prctl(PR_SET_SECUREBITS, 1 << 2) != 0) /* SECBIT_NO_SETUID_FIXUP */
        return true;
    return drop("nobody", NULL) == -1 && complains("could be regained");
}

static void refuses_where_root_can_be_regained(void)
{
    if (geteuid() == 0)
        CHECK(in_child(notices_kept_capabilities));
}

int main(void)
{
    RUN(does_nothing_without_names);
    RUN(names_who_is_unknown);
    RUN(becomes_another_user_for_good);
    RUN(changes_the_group);
    RUN(checks_names_ahead);
    RUN(checks_rights_ahead);
    RUN(needs_root_but_for_who_one_is);
    RUN(takes_root_at_its_word);
    RUN(refuses_where_root_can_be_regained);
    return test_finish();
}
