/* The order is the whole art: names are looked up while the files may still be
 * read, supplementary groups go first because only root may set them, then the
 * group, then the user. Afterwards we try to come back and refuse to run if
 * that works, which finds a kept capability as well as a mistake here. Left
 * out: numeric ids, chroot, capabilities (a unit file does those better). */
#include "proc/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Whom to become. */
struct identity {
    const char *user; /* NULL: the user stays */
    uid_t uid;
    gid_t gid;
};

static int look_up(const char *user, const char *group, struct identity *who,
                   char *error, size_t size)
{
    const struct passwd *pw = user ? getpwnam(user) : NULL;
    const struct group *gr = group ? getgrnam(group) : NULL;

    if (user && pw == NULL) {
        snprintf(error, size,
                 "--user: there is no user %s here; see getent "
                 "passwd for those there are",
                 user);
        return -1;
    }
    if (group && gr == NULL) {
        snprintf(error, size,
                 "--group: there is no group %s here; see getent "
                 "group for those there are",
                 group);
        return -1;
    }
    who->user = user;
    who->uid = pw ? pw->pw_uid : geteuid();
    who->gid = gr ? gr->gr_gid : pw->pw_gid;
    return 0;
}

static bool is_already(const struct identity *who)
{
    uid_t uid[3];
    gid_t gid[3];

    getresuid(&uid[0], &uid[1], &uid[2]);
    getresgid(&gid[0], &gid[1], &gid[2]);
    for (int i = 0; i < 3; i++) {
        if (uid[i] != who->uid || gid[i] != who->gid)
            return false;
    }
    return true;
}

static int become(const struct identity *who)
{
    if (who->user ? initgroups(who->user, who->gid) : setgroups(1, &who->gid))
        return -1;
    if (setresgid(who->gid, who->gid, who->gid) != 0)
        return -1;
    return who->user ? setresuid(who->uid, who->uid, who->uid) : 0;
}

/* True where root can be had again, which is fine only if it was kept. */
static bool can_regain(const struct identity *who)
{
    if (who->uid == 0)
        return false;
    return setuid(0) == 0 || seteuid(0) == 0 || setgroups(0, NULL) == 0;
}

static void needs_root(const char *option, const char *name, char *error,
                       size_t size)
{
    snprintf(error, size,
             "%s %s: this needs root; start luaserve as root or leave "
             "the option out",
             option, name);
}

int privilege_check(const char *user, const char *group, char *error,
                    size_t size)
{
    struct identity who;

    if (user == NULL && group == NULL)
        return 0;
    if (look_up(user, group, &who, error, size) != 0)
        return -1;
    if (geteuid() == 0 || is_already(&who))
        return 0;
    needs_root(user ? "--user" : "--group", user ? user : group, error, size);
    return -1;
}

int privilege_drop(const char *user, const char *group, char *error,
                   size_t size)
{
    const char *option = user ? "--user" : "--group";
    const char *name = user ? user : group;
    struct identity who;

    if (name == NULL)
        return 0;
    if (look_up(user, group, &who, error, size) != 0)
        return -1;
    if (geteuid() != 0 && is_already(&who))
        return 0;
    if (become(&who) != 0) {
        if (errno == EPERM)
            needs_root(option, name, error, size);
        else
            snprintf(error, size, "%s %s: %s", option, name, strerror(errno));
        return -1;
    }
    if (can_regain(&who)) {
        snprintf(error, size,
                 "%s %s: root could be regained; take the capabilities "
                 "CAP_SETUID and CAP_SETGID away",
                 option, name);
        return -1;
    }
    return 0;
}

int privilege_find(const char *user, const char *group, uid_t *uid, gid_t *gid)
{
    struct identity who;
    char error[256];

    if (look_up(user, group, &who, error, sizeof error) < 0)
        return -1;
    *uid = who.uid;
    *gid = who.gid;
    return 0;
}
