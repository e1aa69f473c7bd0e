/* Most requests are for few files: those are found in the table without a
 * system call, for a second. What is not there is looked at on the loop by
 * RESOLVE_CACHED, which cannot block, and only where the kernel would have to
 * read on a thread. What is missing is not kept, unless a thread has found
 * that, so that nobody fills the table with names that do not exist. */
#include "http/folder.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

static unsigned hash_of(const char *path)
{
    unsigned h = 2166136261u; /* FNV-1a; the names are those of files */

    for (; *path; path++)
        h = (h ^ (unsigned char)*path) * 16777619u;
    return h & (FOLDER_BUCKETS - 1);
}

static void forget(struct folder *folder, struct file *f)
{
    struct file **at = &folder->buckets[hash_of(f->path)];

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    list_remove(&f->link);
    folder->count--;
    folder->open -= f->open;
    file_drop(f);
}

static void forget_all(struct folder *folder)
{
    while (!list_empty(&folder->files))
        forget(folder, LIST_ITEM(folder->files.next, struct file, link));
}

struct folder *folder_open(const char *name, bool siblings)
{
    struct folder *folder = mem_zalloc(sizeof *folder);

    folder->root = root_open(name);
    if (folder->root == NULL) {
        mem_free(folder);
        return NULL;
    }
    folder->name = mem_strdup(name);
    folder->siblings = siblings;
    folder->uses = 1;
    list_init(&folder->files);
    return folder;
}

void folder_close(struct folder *folder)
{
    if (--folder->uses > 0)
        return;
    forget_all(folder);
    if (folder->last != NULL)
        file_drop(folder->last);
    root_drop(folder->root);
    mem_free(folder->name);
    mem_free(folder);
}

static struct file *kept(struct folder *folder, const char *path)
{
    struct file *f = folder->buckets[hash_of(path)];

    while (f != NULL && strcmp(f->path, path) != 0)
        f = f->next;
    return f;
}

/* Takes f into the table. */
static void keep(struct folder *folder, struct file *f, double now)
{
    unsigned h = hash_of(f->path);
    struct file *old = kept(folder, f->path);

    if (old != NULL)
        forget(folder, old);
    while (folder->count >= FOLDER_FILES ||
           (folder->open + f->open > FOLDER_OPEN && folder->count > 0))
        forget(folder, LIST_ITEM(folder->files.next, struct file, link));
    f->checked = now;
    f->next = folder->buckets[h];
    folder->buckets[h] = f;
    list_push(&folder->files, &f->link);
    folder->count++;
    folder->open += f->open;
}

static double fresh = FOLDER_FRESH; /* seconds */

void folder_doubt(void)
{
    fresh = 0; /* the turn in which it was looked at counts */
}

/* The folder itself may be another one by now: a deployment that has moved a
 * link, or renamed a folder. */
static bool is_replaced(const char *name, const struct root *root)
{
    struct stat st;

    return stat(name, &st) == 0 &&
           (st.st_dev != root->dev || st.st_ino != root->ino);
}

struct file *folder_find(struct folder *folder, const char *path, double now)
{
    struct file *f = kept(folder, path);

    if (f != NULL && now - f->checked <= fresh &&
        (f->fd < 0 || !file_changed(f))) {
        list_remove(&f->link);
        list_push(&folder->files, &f->link);
        return f;
    }
    if (now - folder->checked > fresh)
        return NULL; /* the folder itself is looked at, too: on a thread */
    f = file_look(folder->root, path, folder->siblings, true);
    if (f == NULL)
        return NULL;
    if (f->kind == FILE_REGULAR) {
        keep(folder, f, now);
        return f;
    }
    if (folder->last != NULL)
        file_drop(folder->last);
    folder->last = f;
    return f;
}

struct folder_job *folder_job_new(struct folder *folder, const char *path,
                                  double now)
{
    struct folder_job *job = mem_zalloc(sizeof *job);

    job->folder = folder;
    job->root = folder->root;
    job->root->uses++;
    folder->uses++;
    folder->checked = now; /* others need not do the same */
    strncpy(job->path, path, FILE_PATH_MAX);
    return job;
}

void folder_job_run(struct folder_job *job)
{
    const struct folder *folder = job->folder;
    struct root *root = job->root;

    if (is_replaced(folder->name, root))
        job->fresh = root_open(folder->name);
    job->file = file_look(job->fresh != NULL ? job->fresh : root, job->path,
                          folder->siblings, false);
}

void folder_job_done(struct folder_job *job, double now)
{
    struct folder *folder = job->folder;

    if (job->fresh != NULL && job->root == folder->root) {
        forget_all(folder);
        root_drop(folder->root);
        folder->root = job->fresh;
        job->fresh = NULL;
    }
    if (job->file != NULL)
        keep(folder, job->file, now);
    job->file = NULL;
}

void folder_job_free(struct folder_job *job)
{
    root_drop(job->root);
    root_drop(job->fresh);
    if (job->file != NULL)
        file_drop(job->file);
    folder_close(job->folder);
    mem_free(job);
}
