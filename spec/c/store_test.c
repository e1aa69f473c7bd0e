/* The store where other processes are stopped or killed in the middle of
 * writing, and its sweeps. What Lua sees of it is in spec/store. */
#include "proc/store.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static char folder[] = "/tmp/luaserve-store-XXXXXX";
static char path[64];
static char error[STORE_ERROR_SIZE];

static enum store_edit put(const struct store_entry *old,
                           struct store_entry *entry, void *arg)
{
    const struct store_entry *wanted = arg;

    (void)old;
    *entry = *wanted;
    return STORE_WRITE;
}

static enum store_edit stop(const struct store_entry *old,
                            struct store_entry *entry, void *arg)
{
    raise(SIGSTOP);
    return put(old, entry, arg);
}

static int set(struct store *table, const char *key, const char *text,
               enum store_edit (*edit)(const struct store_entry *,
                                       struct store_entry *, void *))
{
    struct store_entry entry = {.value = text, .n = strlen(text)};

    return store_edit(table, key, strlen(key), edit, &entry);
}

static bool holds(struct store *table, const char *key, const char *text)
{
    struct store_entry entry;

    return store_get(table, key, strlen(key), &entry) == 0 &&
           entry.version != 0 && entry.n == strlen(text) &&
           memcmp(entry.value, text, entry.n) == 0;
}

/* A process that has stopped while it writes "b", behind "a". */
static pid_t start_writer(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct store *table = store_open("t", 0, error);

        _exit(table == NULL || set(table, "a", "first", put) < 0 ||
              set(table, "b", "second", stop) < 0);
    }
    return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) ? pid
                                                                         : -1;
}

static bool ends_well(pid_t pid)
{
    int status;

    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void waits_for_no_stopped_writer(void)
{
    pid_t writer = start_writer();
    struct store *table;
    char pid[24];

    CHECK(writer > 0);
    table = store_open("t", 0, error);
    CHECK(table != NULL);
    if (writer <= 0 || table == NULL)
        return;
    snprintf(pid, sizeof pid, "process %ld ", (long)writer);
    CHECK(holds(table, "a", "first"));
    CHECK(!holds(table, "b", "second"));
    CHECK_INT(set(table, "a", "third", put), -1);
    CHECK(store_is_busy());
    CHECK(strstr(store_error(), pid) != NULL);
    CHECK_INT(set(table, "a", "third", put), -1);
    CHECK(store_open("another", 0, error) == NULL);
    CHECK_INT(store_clear(table), -1);
    CHECK(holds(table, "a", "first"));
    kill(writer, SIGCONT);
    CHECK(ends_well(writer));
    CHECK_INT(set(table, "a", "third", put), 0);
    CHECK(holds(table, "a", "third"));
    CHECK(holds(table, "b", "second"));
    store_close();
}

static void goes_on_when_a_writer_is_killed(void)
{
    pid_t writer;
    struct store *table;
    int status;

    unlink(path);
    writer = start_writer();
    table = store_open("t", 0, error);
    CHECK(writer > 0);
    CHECK(table != NULL);
    if (writer <= 0 || table == NULL)
        return;
    CHECK_INT(set(table, "c", "third", put), -1);
    kill(writer, SIGKILL);
    CHECK(waitpid(writer, &status, 0) == writer);
    CHECK_INT(set(table, "c", "third", put), 0);
    CHECK(holds(table, "a", "first"));
    CHECK(!holds(table, "b", "second"));
    CHECK(holds(table, "c", "third"));
    store_close();
}

static void fill(struct store *table, uint64_t expires)
{
    struct store_entry entry = {.value = "v", .n = 1, .expires = expires};
    char key[16];
    int i;

    for (i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "%s%d", expires ? "gone" : "stays", i);
        CHECK_INT(store_edit(table, key, strlen(key), put, &entry), 0);
    }
}

static void sweeps_in_small_steps(void)
{
    static const char *const names[] = {"one", "two", "three", "four"};
    struct store *tables[4];
    unsigned removed = 0, most = 0, step, i, steps = 0;

    for (i = 0; i < 4; i++) {
        tables[i] = store_open(names[i], 0, error);
        CHECK(tables[i] != NULL);
        if (tables[i] == NULL)
            return;
        fill(tables[i], 1);
        fill(tables[i], 0);
    }
    while (removed < 4 * 300 && steps++ < 10000) {
        step = store_sweep();
        most = step > most ? step : most;
        removed += step;
    }
    CHECK_INT(removed, 4 * 300);
    CHECK(most <= 128);
    for (i = 0; i < 4; i++)
        CHECK_INT(store_rows(tables[i]), 300);
    store_close();
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/store", folder);
    store_setup(path, 1024 * 1024);
    RUN(waits_for_no_stopped_writer);
    RUN(goes_on_when_a_writer_is_killed);
    RUN(sweeps_in_small_steps);
    unlink(path);
    snprintf(path, sizeof path, "%s/store-lock", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/store-turn", folder);
    unlink(path);
    rmdir(folder);
    return test_finish();
}
