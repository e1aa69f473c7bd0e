/* The map is written through (MDB_WRITEMAP) and never waited for (MDB_NOSYNC):
 * what a process has written is in the kernel's hands, and its death loses
 * nothing. A file is brought to its disk by store_sync, about once a second: a
 * power cut may lose that second, or leave a file that store_check refuses.
 *
 * The tables of LMDB are "t:NAME" (entries), "a:NAME" (ages), "p:NAME" (pieces)
 * and "luaserve", which holds the version of all this. */
#include "proc/store_db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "proc/store_check.h"
#include "proc/store_file.h"
#include "proc/store_turn.h"

enum {
    FORMAT = 1, /* of what is in the file */
    READERS = 1024,
    READER_SIZE = 64,            /* bytes of one among LMDB's locks */
    NAMES = 1,                   /* LMDB's own table, of the tables' names */
    SIZE_LEAST = 4 * 1024 * 1024 /* to be tried where the default has no room */
};

#define OURS "luaserve"

struct store_db store_db;

static struct {
    char path[STORE_PATH_SIZE];
    uint64_t size; /* 0: the default, or less */
    uid_t uid;     /* whose it is to be; -1: ours */
    gid_t gid;
    bool is_given; /* the path was */
    bool is_made;  /* by us, in memory: we remove it */
    bool is_busy;  /* what error says is that another one writes */
    char error[STORE_ERROR_SIZE];
} place;

const char *store_db_error(void)
{
    return place.error;
}

int store_db_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(place.error, sizeof place.error, format, args);
    va_end(args);
    place.is_busy = false;
    return -1;
}

bool store_db_is_busy(void)
{
    return place.is_busy;
}

int store_db_fail(int code)
{
    if (code == MDB_MAP_FULL)
        return store_db_say("the store is full, and a process that has stopped "
                            "in the middle of reading keeps it so");
    if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_PANIC)
        return store_db_say("the store %s is damaged: stop every process that "
                            "uses it, and remove it",
                            place.path);
    return store_db_say("the store %s: %s", place.path, mdb_strerror(code));
}

/* ---- where it is ---- */

/* Sets the path, in full, since workers and scripts may be in other folders. */
static void set_path(const char *path)
{
    char folder[STORE_PATH_SIZE];
    bool relative = path[0] != '/' && getcwd(folder, sizeof folder) != NULL;

    place.is_given = true;
    if (snprintf(place.path, sizeof place.path, "%s%s%s",
                 relative ? folder : "", relative ? "/" : "",
                 path) >= (int)sizeof place.path)
        place.path[0] = '\0'; /* it cannot be opened */
}

void store_db_setup(const char *path, uint64_t size)
{
    const char *told = getenv(STORE_ENV);

    place.size = size;
    place.uid = (uid_t)-1;
    place.gid = (gid_t)-1;
    if (told != NULL && *told) {
        store_db.in_memory = store_file_is_made(told);
        set_path(told);
    } else if (path != NULL) {
        set_path(path);
    }
    (void)unsetenv(STORE_ENV);
}

void store_db_give(uid_t uid, gid_t gid)
{
    place.uid = uid;
    place.gid = gid;
}

static void remove_made(void)
{
    if (place.is_made)
        store_file_remove(place.path);
    place.is_made = false;
}

static int make_place(void)
{
    static bool is_registered;

    if (place.is_given || place.is_made)
        return 0;
    if (store_file_make(place.path, place.error, sizeof place.error) < 0)
        return -1;
    place.is_made = true;
    store_db.in_memory = true;
    store_file_give(place.path, place.uid, place.gid);
    if (!is_registered)
        (void)at_quick_exit(remove_made);
    is_registered = true;
    return 0;
}

const char *store_db_path(void)
{
    return make_place() == 0 ? place.path : NULL;
}

bool store_db_is_lasting(void)
{
    return place.is_given && !store_db.in_memory;
}

/* ---- opening ---- */

/* Gives the new or old file its size, halving the default where memory is
 * short, as in a container. */
static int allocate(int fd, uint64_t old)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t size = place.size ? place.size : STORE_SIZE;

    size = (size < old ? old : size + page - 1) / page * page;
    while (store_file_allocate(fd, place.path, size, place.error,
                               sizeof place.error) < 0) {
        if (place.size != 0 || !store_db.in_memory || size / 2 < SIZE_LEAST)
            return -1;
        size = size / 2 / page * page;
    }
    store_db.size = size;
    return 0;
}

/* Has LMDB write its header, which it does to a file of no bytes alone. */
static int make_header(void)
{
    MDB_env *env;
    int failure = mdb_env_create(&env);

    if (failure != 0)
        return store_db_fail(failure);
    failure = mdb_env_set_maxreaders(env, READERS);
    if (failure == 0)
        failure =
            mdb_env_open(env, place.path, MDB_NOSUBDIR | MDB_NOSYNC, 0600);
    mdb_env_close(env);
    return failure == 0 ? 0 : store_db_fail(failure);
}

/* A new file, which is empty again where there is no room for it. */
static int make_file(int fd)
{
    if (make_header() == 0 && allocate(fd, 0) == 0)
        return 0;
    (void)!ftruncate(fd, 0);
    return -1;
}

/* The file before LMDB gets it. */
static int prepare(int fd, bool alone)
{
    uint64_t size = store_file_size(fd);
    const char *wrong;

    if (!alone) {
        store_db.size = size;
        return 0;
    }
    wrong = size > 0 ? store_check(fd, size) : NULL;
    if (wrong != NULL)
        return store_db_say("cannot use the store %s: %s; move it away to "
                            "start with an empty one",
                            place.path, wrong);
    if (store_file_allocate_locks(place.path, (READERS + 64) * READER_SIZE,
                                  place.error, sizeof place.error) < 0)
        return -1;
    return size > 0 ? allocate(fd, size) : make_file(fd);
}

/* Looks whether the file is of our format, or makes it so. */
static int check_format(MDB_txn *txn, bool alone)
{
    uint32_t format = FORMAT;
    MDB_val key = {7, (char[]){"format"}}, value = {sizeof format, &format};
    MDB_stat stat;
    MDB_dbi dbi;
    int failure = mdb_dbi_open(txn, OURS, 0, &dbi);

    if (failure == MDB_NOTFOUND && alone && mdb_stat(txn, NAMES, &stat) == 0 &&
        stat.ms_entries == 0) {
        failure = mdb_dbi_open(txn, OURS, MDB_CREATE, &dbi);
        return failure == 0 ? mdb_put(txn, dbi, &key, &value, 0) : failure;
    }
    if (failure != 0)
        return failure == MDB_NOTFOUND ? MDB_INVALID : failure;
    failure = mdb_get(txn, dbi, &key, &value);
    if (failure == 0 && value.mv_size == sizeof format)
        memcpy(&format, value.mv_data, sizeof format);
    return failure != 0 ? failure : format == FORMAT ? 0 : MDB_VERSION_MISMATCH;
}

static int open_env(bool alone)
{
    MDB_txn *txn = NULL;
    int failure = mdb_env_create(&store_db.env);

    if (failure == 0)
        failure = mdb_env_set_mapsize(store_db.env, store_db.size);
    if (failure == 0)
        failure = mdb_env_set_maxdbs(store_db.env, 3 * STORE_TABLES_MAX + 1);
    if (failure == 0)
        failure = mdb_env_set_maxreaders(store_db.env, READERS);
    if (failure == 0)
        failure = mdb_env_open(store_db.env, place.path,
                               MDB_NOSUBDIR | MDB_WRITEMAP | MDB_NOSYNC |
                                   MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT,
                               0600);
    if (failure == 0)
        failure =
            mdb_txn_begin(store_db.env, NULL, alone ? 0 : MDB_RDONLY, &txn);
    if (failure != 0)
        return failure;
    failure = check_format(txn, alone);
    if (failure != 0) {
        mdb_txn_abort(txn);
        return failure;
    }
    return mdb_txn_commit(txn);
}

static int fail_open(int code)
{
    if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH)
        return store_db_say("cannot use the store %s: it is %s; move it away "
                            "to start with an empty one",
                            place.path,
                            code == MDB_INVALID
                                ? "no store of luaserve"
                                : "of another version of luaserve");
    return store_db_say("cannot open the store %s: %s", place.path,
                        mdb_strerror(code));
}

static int open_file(int fd, bool alone)
{
    int failure;

    if (prepare(fd, alone) < 0 ||
        store_turn_open(place.path, alone, place.error, sizeof place.error) < 0)
        return -1;
    failure = open_env(alone);
    if (failure == 0) {
        (void)mdb_reader_check(store_db.env, NULL);
        failure =
            mdb_txn_begin(store_db.env, NULL, MDB_RDONLY, &store_db.reader);
    }
    if (failure != 0)
        return fail_open(failure);
    mdb_txn_reset(store_db.reader);
    if (alone)
        store_file_give(place.path, place.uid, place.gid);
    return 0;
}

int store_db_open(void)
{
    bool alone = false;
    int fd;

    if (store_db.env != NULL)
        return 0;
    if (make_place() < 0)
        return -1;
    fd = store_file_lock(place.path, &alone, place.error, sizeof place.error);
    if (fd < 0) {
        remove_made();
        return -1;
    }
    if (open_file(fd, alone) == 0) {
        store_file_settle(fd); /* stays open: it holds the lock */
        return 0;
    }
    if (store_db.env != NULL)
        mdb_env_close(store_db.env);
    store_db.env = NULL;
    store_turn_close();
    close(fd);
    remove_made();
    return -1;
}

void store_db_close(void)
{
    if (store_db.env != NULL) {
        if (store_db.dirty && !store_db.in_memory)
            (void)mdb_env_sync(store_db.env, 1);
        mdb_txn_abort(store_db.reader);
        mdb_env_close(store_db.env);
        while (store_db.count > 0) {
            struct store *table = store_db.tables[--store_db.count];

            bytes_clear(&table->swept);
            mem_free(table);
        }
        store_db.env = NULL;
        store_db.reader = NULL;
        store_turn_close();
    }
    remove_made();
}

/* ---- tables ---- */

static int open_trees(MDB_txn *txn, const char *name, unsigned flags,
                      struct store *table)
{
    char full[STORE_NAME_MAX + 3];
    int failure;

    snprintf(full, sizeof full, "t:%s", name);
    failure = mdb_dbi_open(txn, full, flags, &table->entries);
    if (failure != 0)
        return failure;
    full[0] = 'p';
    failure = mdb_dbi_open(txn, full, flags, &table->pieces);
    if (failure != 0)
        return failure;
    full[0] = 'a';
    return mdb_dbi_open(txn, full, flags | MDB_INTEGERKEY, &table->ages);
}

static struct store *find(const char *name)
{
    unsigned i;

    for (i = 0; i < store_db.count; i++)
        if (strcmp(store_db.tables[i]->name, name) == 0)
            return store_db.tables[i];
    return NULL;
}

static struct store *add(const char *name, const struct store *opened)
{
    struct store *table = mem_zalloc(sizeof *table);

    *table = *opened;
    snprintf(table->name, sizeof table->name, "%s", name);
    bytes_init(&table->swept);
    store_db.tables[store_db.count++] = table;
    return table;
}

int store_db_table(const char *name, struct store **table)
{
    struct store opened = {0};
    MDB_txn *txn;
    int failure;

    *table = find(name);
    if (*table != NULL)
        return 0;
    if (store_db_learn() < 0)
        return -1;
    *table = find(name);
    if (*table != NULL)
        return 0;
    if (store_db_write(&txn) < 0)
        return -1;
    failure = store_db.count < STORE_TABLES_MAX
                  ? open_trees(txn, name, MDB_CREATE, &opened)
                  : MDB_DBS_FULL;
    if (failure != 0)
        store_db_abort(txn);
    else
        failure = store_db_commit(txn);
    if (failure == MDB_DBS_FULL)
        return store_db_say("the store has %d tables already; use one with "
                            "keys that begin differently",
                            STORE_TABLES_MAX);
    if (failure != 0)
        return store_db_fail(failure);
    *table = add(name, &opened);
    return 0;
}

/* Opens the table where its record says that it is one that we do not know. */
static int learn(MDB_txn *txn, const MDB_val *key)
{
    struct store opened = {0};
    char name[STORE_NAME_MAX + 1];
    const char *full = key->mv_data;
    int failure;

    if (key->mv_size < 3 || key->mv_size > 2 + STORE_NAME_MAX ||
        full[0] != 't' || store_db.count == STORE_TABLES_MAX)
        return 0;
    memcpy(name, full + 2, key->mv_size - 2);
    name[key->mv_size - 2] = '\0';
    if (find(name) != NULL)
        return 0;
    failure = open_trees(txn, name, 0, &opened);
    if (failure == 0)
        (void)add(name, &opened);
    return failure;
}

static int learn_all(MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key;
    int failure = mdb_cursor_open(txn, NAMES, &cursor);

    if (failure != 0)
        return failure;
    while ((failure = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)) == 0)
        if ((failure = learn(txn, &key)) != 0)
            break;
    mdb_cursor_close(cursor);
    return failure == MDB_NOTFOUND ? 0 : failure;
}

int store_db_learn(void)
{
    MDB_txn *txn;
    int failure = mdb_txn_begin(store_db.env, NULL, MDB_RDONLY, &txn);

    if (failure == 0)
        failure = learn_all(txn);
    else
        return store_db_fail(failure);
    /* Committed also where it fails, to keep what was opened. */
    (void)mdb_txn_commit(txn);
    return failure == 0 ? 0 : store_db_fail(failure);
}

bool store_db_knows(MDB_txn *txn)
{
    MDB_stat stat;

    return store_db.count == STORE_TABLES_MAX ||
           mdb_stat(txn, NAMES, &stat) != 0 ||
           stat.ms_entries <= 3 * (size_t)store_db.count + 1;
}

/* ---- transactions ---- */

int store_db_read(void)
{
    int failure;

    if (store_db.env == NULL)
        return store_db_say("the store is closed");
    failure = mdb_txn_renew(store_db.reader);
    return failure == 0 ? 0 : store_db_fail(failure);
}

void store_db_done(void)
{
    mdb_txn_reset(store_db.reader);
}

int store_db_write(MDB_txn **txn)
{
    pid_t holder;
    int failure;

    if (store_db.env == NULL)
        return store_db_say("the store is closed");
    holder = store_turn_take();
    if (holder != 0) {
        (void)store_db_say("process %ld has stopped in the middle of writing "
                           "to the store: let it go on (SIGCONT), or end it",
                           (long)holder);
        place.is_busy = true;
        return -1;
    }
    failure = mdb_txn_begin(store_db.env, NULL, 0, txn);
    if (failure != 0) {
        store_turn_give();
        return store_db_fail(failure);
    }
    store_db.dirty = true;
    return 0;
}

int store_db_commit(MDB_txn *txn)
{
    int failure = mdb_txn_commit(txn);

    store_turn_give();
    return failure;
}

void store_db_abort(MDB_txn *txn)
{
    mdb_txn_abort(txn);
    store_turn_give();
}
