/* The main of NAME_test.c: runs every input that is kept for a fuzzer, those it
 * was seeded with (corpus/NAME) and those that once broke something
 * (regression/NAME). Inputs run in a child, which says in shared memory where
 * it is; the input that kills it fails, and another child goes on behind it. */
#ifndef SPEC_FUZZ_REPLAY_H
#define SPEC_FUZZ_REPLAY_H

#include <dirent.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

struct replay {
    char folder[64];
    struct dirent **entries;
    int count;
    volatile int *at; /* the entry in work; shared */
};

static inline int replay_is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static inline void replay_input(const struct replay *r, const char *name)
{
    static uint8_t buffer[1 << 20];
    char path[512];
    FILE *file;
    uint8_t *data;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    n = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    data = mem_alloc(n);
    memcpy(data, buffer, n);
    LLVMFuzzerTestOneInput(data, n);
    mem_free(data);
}

/* Runs the entries from first on in a child. Returns its status. */
static inline int replay_from(struct replay *r, int first)
{
    int status = -1;
    pid_t pid;

    fflush(stdout); /* or the child writes it too */
    pid = fork();
    FUZZ_CHECK(pid >= 0);
    if (pid == 0) {
        for (*r->at = first; *r->at < r->count; ++*r->at)
            replay_input(r, r->entries[*r->at]->d_name);
        exit(0); /* looks for leaks */
    }
    waitpid(pid, &status, 0);
    return status;
}

/* Runs a folder, one test. Returns the count of failures. */
static inline int replay_folder(const char *kind, const char *name)
{
    struct replay r;
    int failures = 0, first = 0;

    snprintf(r.folder, sizeof r.folder, "spec/fuzz/%s/%s", kind, name);
    r.count = scandir(r.folder, &r.entries, replay_is_input, alphasort);
    if (r.count <= 0)
        return 0;
    r.at = mmap(NULL, sizeof *r.at, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(r.at != MAP_FAILED);
    while (first <= r.count && replay_from(&r, first) != 0) {
        printf("not ok %s_%s: %s/%s\n", name, kind, r.folder,
               *r.at < r.count ? r.entries[*r.at]->d_name : "(at its end)");
        failures++;
        first = *r.at + 1;
    }
    if (failures == 0)
        printf("ok %s_%s\n", name, kind);
    while (r.count > 0)
        free(r.entries[--r.count]);
    free(r.entries);
    return failures;
}

/* Runs what is kept for the fuzzer of that name, in the repository's folder. */
static inline int replay(const char *name)
{
    int failures = replay_folder("corpus", name);

    failures += replay_folder("regression", name);
    return failures > 0;
}

#endif
