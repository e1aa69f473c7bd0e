/* Each name is looked at as a request for it would: what would not be served is
 * not listed. The order is that of the file system; sorting is the page's. */
#include "http/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static void add(struct listing *list, const char *name, const struct stat *st)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->entries =
            mem_realloc(list->entries, list->cap * sizeof *list->entries);
    }
    list->entries[list->n++] =
        (struct listing_entry){.name = mem_strdup(name),
                               .folder = S_ISDIR(st->st_mode),
                               .size = st->st_size,
                               .modified = st->st_mtim.tv_sec};
}

/* Whether a request for that name could be answered: by l_static.c neither
 * backslashes nor controls are in any. */
static bool is_servable(const char *name, bool hidden)
{
    const unsigned char *p = (const unsigned char *)name;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        (!hidden && name[0] == '.'))
        return false;
    while (*p >= ' ' && *p != 0x7f && *p != '\\')
        p++;
    return *p == '\0';
}

/* Looks at what is at path below root. */
static bool look(const struct root *root, const char *path, struct stat *st)
{
    int fd = root_descend(root, path, O_PATH, false);
    bool ok;

    if (fd < 0)
        return false;
    ok = fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
    close(fd);
    return ok;
}

int listing_read(struct listing *list, const struct root *root,
                 const char *path, bool hidden)
{
    int fd = root_descend(root, path, O_RDONLY | O_DIRECTORY, false);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    char full[PATH_MAX];
    struct dirent *d;
    struct stat st;

    *list = (struct listing){.entries = NULL};
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while ((d = readdir(dir)) != NULL) {
        if (!is_servable(d->d_name, hidden))
            continue;
        if (list->n == LISTING_MAX) {
            list->cut = true;
            break;
        }
        if (snprintf(full, sizeof full, "%s/%s", *path ? path : ".",
                     d->d_name) < (int)sizeof full &&
            look(root, full, &st))
            add(list, d->d_name, &st);
    }
    closedir(dir);
    return 0;
}

void listing_clear(struct listing *list)
{
    while (list->n > 0)
        mem_free(list->entries[--list->n].name);
    mem_free(list->entries);
    list->entries = NULL;
}
