/* The version of an entry is the number of the transaction that wrote it: each
 * writes one entry. What has expired is absent for all, whether it was swept or
 * not. */
#include "proc/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "proc/store_db.h"
#include "proc/store_item.h"
#include "proc/store_room.h"

enum {
    SWEEP_ENTRIES = 20000,    /* looked at in a step, at most */
    SWEEP_REMOVED = 128,      /* removed in a step, at most */
    SWEEP_TIME = 1000 * 1000, /* nanoseconds of looking */
    COUNT_EXACT = 10000
};

void store_setup(const char *path, uint64_t size)
{
    store_db_setup(path, size);
}

void store_give(uid_t uid, gid_t gid)
{
    store_db_give(uid, gid);
}

const char *store_share(char error[static STORE_ERROR_SIZE])
{
    const char *path = store_db_path();

    if (path != NULL)
        return path;
    snprintf(error, STORE_ERROR_SIZE, "%s", store_db_error());
    return NULL;
}

bool store_is_lasting(void)
{
    return store_db_is_lasting();
}

struct store *store_open(const char *name, uint64_t max_bytes,
                         char error[static STORE_ERROR_SIZE])
{
    struct store *table = NULL;

    if (store_db_open() < 0 || store_db_table(name, &table) < 0) {
        snprintf(error, STORE_ERROR_SIZE, "%s", store_db_error());
        return NULL;
    }
    if (max_bytes)
        table->max_bytes = max_bytes;
    return table;
}

size_t store_value_max(const struct store *store)
{
    return store_room_value_max(store);
}

const char *store_error(void)
{
    return store_db_error();
}

bool store_is_busy(void)
{
    return store_db_is_busy();
}

void store_close(void)
{
    store_db_close();
}

uint64_t store_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- one entry ---- */

static MDB_val key_of(const char *key, size_t n)
{
    return (MDB_val){n, (void *)(uintptr_t)key};
}

static struct bytes buffer; /* of bytes that have to be gathered */

/* Reads the entry into memory of ours. */
static int copy_entry(const struct store *store, const MDB_val *value,
                      struct store_entry *entry)
{
    static struct bytes copy;
    int failure =
        store_item_read(store_db.reader, store, value, entry, &buffer);

    if (failure != 0)
        return failure;
    copy.n = 0;
    bytes_append(&copy, entry->value, entry->n);
    bytes_append(&copy, "", 1);
    entry->value = copy.p;
    if (store_item_is_expired(entry))
        *entry = (struct store_entry){0};
    return 0;
}

int store_get(struct store *store, const char *key, size_t n,
              struct store_entry *entry)
{
    MDB_val k = key_of(key, n), value;
    int failure;

    *entry = (struct store_entry){0};
    if (store_db_read() < 0)
        return -1;
    failure = mdb_get(store_db.reader, store->entries, &k, &value);
    if (failure == 0)
        failure = copy_entry(store, &value, entry);
    store_db_done();
    return failure == 0 || failure == MDB_NOTFOUND ? 0 : store_db_fail(failure);
}

struct edit {
    MDB_val key;
    enum store_edit (*edit)(const struct store_entry *, struct store_entry *,
                            void *);
    void *arg;
    struct store_room room;
};

/* Writes entry over old, which (version 0) may not be there. Once it is
 * stripped it is no more the oldest of anything, and so stays until then. */
static int replace(MDB_txn *txn, const struct store *store, struct edit *e,
                   const struct store_entry *old,
                   const struct store_entry *entry)
{
    size_t n = entry->n + 2 * e->key.mv_size;
    int failure = old->version ? store_item_strip(txn, store, old) : 0;

    if (failure == 0)
        failure = store_room_make(txn, store, n, &e->room);
    return failure == 0 ? store_item_put(txn, store, &e->key, entry) : failure;
}

/* Does the edit in txn; *changed tells whether there is anything to commit. */
static int apply(MDB_txn *txn, const struct store *store, struct edit *e,
                 bool *changed)
{
    struct store_entry head = {0}, old, entry = {0}, none = {0};
    enum store_edit what;
    MDB_val value;
    int failure = mdb_get(txn, store->entries, &e->key, &value);

    if (failure == 0) {
        store_item_head(&value, &head);
        failure = store_item_read(txn, store, &value, &old, &buffer);
    }
    if (failure != 0 && failure != MDB_NOTFOUND)
        return failure;
    what = e->edit(head.version && !store_item_is_expired(&head) ? &old : &none,
                   &entry, e->arg);
    *changed = what == STORE_WRITE || (what == STORE_REMOVE && head.version);
    if (!*changed)
        return 0;
    if (what == STORE_REMOVE)
        return store_item_remove(txn, store, &e->key, &head);
    return replace(txn, store, e, &head, &entry);
}

static int try_edit(const struct store *store, struct edit *e)
{
    MDB_txn *txn;
    bool changed = false;
    int failure;

    if (store_db_write(&txn) < 0)
        return MDB_PANIC;
    failure = apply(txn, store, e, &changed);
    if (failure == 0 && changed)
        return store_db_commit(txn);
    store_db_abort(txn);
    return failure;
}

int store_edit(struct store *store, const char *key, size_t n,
               enum store_edit (*edit)(const struct store_entry *old,
                                       struct store_entry *entry, void *arg),
               void *arg)
{
    struct edit e = {key_of(key, n), edit, arg, {0}};
    unsigned lessons = 0;
    int failure;

    while ((failure = try_edit(store, &e)) != 0) {
        if (failure == MDB_MAP_FULL) {
            if (store_room_relieve(&e.room) < 0)
                return -1;
        } else if (failure == MDB_DBS_FULL && lessons++ < 2) {
            if (store_db_learn() < 0)
                return -1;
        } else {
            return failure == MDB_PANIC ? -1 : store_db_fail(failure);
        }
    }
    return 0;
}

/* ---- many entries ---- */

/* Calls fn with the keys from prefix on that begin with it. */
static int walk(MDB_cursor *cursor, const char *prefix, size_t n,
                void (*fn)(const char *key, size_t n, void *arg), void *arg)
{
    MDB_val key = key_of(prefix, n), value;
    int failure =
        mdb_cursor_get(cursor, &key, &value, n > 0 ? MDB_SET_RANGE : MDB_FIRST);

    for (; failure == 0;
         failure = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct store_entry entry;

        if (key.mv_size < n || (n > 0 && memcmp(key.mv_data, prefix, n) != 0))
            return 0;
        store_item_head(&value, &entry);
        if (!store_item_is_expired(&entry))
            fn(key.mv_data, key.mv_size, arg);
    }
    return failure == MDB_NOTFOUND ? 0 : failure;
}

int store_each(struct store *store, const char *prefix, size_t n,
               void (*fn)(const char *key, size_t n, void *arg), void *arg)
{
    MDB_cursor *cursor;
    int failure;

    if (store_db_read() < 0)
        return -1;
    failure = mdb_cursor_open(store_db.reader, store->entries, &cursor);
    if (failure == 0) {
        failure = walk(cursor, prefix, n, fn, arg);
        mdb_cursor_close(cursor);
    }
    store_db_done();
    return failure == 0 ? 0 : store_db_fail(failure);
}

static void count_one(const char *key, size_t n, void *arg)
{
    (void)key;
    (void)n;
    ++*(uint64_t *)arg;
}

uint64_t store_rows(struct store *store)
{
    MDB_stat stat = {0};
    int failure;

    if (store_db_read() < 0)
        return 0;
    failure = mdb_stat(store_db.reader, store->entries, &stat);
    store_db_done();
    return failure == 0 ? stat.ms_entries : 0;
}

int store_count(struct store *store, uint64_t *count)
{
    *count = store_rows(store);
    if (*count > COUNT_EXACT)
        return 0;
    *count = 0;
    return store_each(store, "", 0, count_one, count);
}

/* All at once, which takes pages in a row for the list of those that become
 * free: MDB_MAP_FULL where there are none. */
static int drop(const struct store *store)
{
    MDB_dbi trees[3] = {store->entries, store->ages, store->pieces};
    MDB_txn *txn;
    int i, failure = 0;

    if (store_db_write(&txn) < 0)
        return MDB_PANIC;
    for (i = 0; i < 3 && failure == 0; i++)
        failure = mdb_drop(txn, trees[i], 0);
    if (failure == 0)
        return store_db_commit(txn);
    store_db_abort(txn);
    return failure;
}

int store_clear(struct store *store)
{
    struct store_room room = {.from = store};
    uint64_t before;
    int failure = drop(store);

    if (failure == 0)
        return 0;
    if (failure != MDB_MAP_FULL)
        return failure == MDB_PANIC ? -1 : store_db_fail(failure);
    do { /* by and by */
        before = room.freed;
        if (store_room_relieve(&room) < 0)
            return -1;
    } while (room.freed > before);
    return 0;
}

/* ---- sweeping ---- */

/* The keys that have expired, each behind its length. */
struct dust {
    struct bytes keys;
    unsigned count, most;
};

/* Notes where the sweep is to go on: at key, or from the start. */
static void mark(struct store *store, const MDB_val *key)
{
    store->swept.n = 0;
    if (key != NULL)
        bytes_append(&store->swept, key->mv_data, key->mv_size);
}

static void collect(MDB_cursor *cursor, struct store *store, struct dust *dust,
                    uint64_t until)
{
    MDB_val key = key_of(store->swept.p, store->swept.n), value;
    unsigned looked = 0;
    int failure = mdb_cursor_get(cursor, &key, &value,
                                 key.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);

    for (; failure == 0;
         failure = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct store_entry entry;

        if (++looked > SWEEP_ENTRIES || dust->count == dust->most ||
            (looked % 64 == 0 && clock_monotonic() > until)) {
            mark(store, &key);
            return;
        }
        store_item_head(&value, &entry);
        if (!store_item_is_expired(&entry))
            continue;
        bytes_append(&dust->keys, &key.mv_size, sizeof key.mv_size);
        bytes_append(&dust->keys, key.mv_data, key.mv_size);
        dust->count++;
    }
    mark(store, NULL);
}

/* Removes the entry where it has expired still. */
static int remove_expired(MDB_txn *txn, const struct store *store, MDB_val *key)
{
    struct store_entry entry;
    MDB_val value;
    int failure = mdb_get(txn, store->entries, key, &value);

    if (failure != 0)
        return failure == MDB_NOTFOUND ? 0 : failure;
    store_item_head(&value, &entry);
    if (!store_item_is_expired(&entry))
        return 0;
    return store_item_remove(txn, store, key, &entry);
}

static void remove_dust(const struct store *store, struct dust *dust)
{
    const char *at = dust->keys.p;
    MDB_txn *txn;
    unsigned i;
    int failure = 0;

    if (store_db_write(&txn) < 0)
        return;
    for (i = 0; i < dust->count && failure == 0; i++) {
        MDB_val key;

        memcpy(&key.mv_size, at, sizeof key.mv_size);
        key.mv_data = (void *)(uintptr_t)(at + sizeof key.mv_size);
        at += sizeof key.mv_size + key.mv_size;
        failure = remove_expired(txn, store, &key);
    }
    if (failure == 0)
        (void)store_db_commit(txn);
    else
        store_db_abort(txn); /* the next sweep finds them again */
}

/* Removes at most most entries of those that it finds within so many
 * nanoseconds. Returns how many. */
static unsigned sweep(struct store *store, unsigned most, uint64_t within)
{
    struct dust dust = {{0}, 0, most};
    MDB_cursor *cursor;

    if (store_db_read() < 0)
        return 0;
    if (mdb_cursor_open(store_db.reader, store->entries, &cursor) == 0) {
        collect(cursor, store, &dust, clock_monotonic() + within);
        mdb_cursor_close(cursor);
    }
    store_db_done();
    if (dust.count > 0)
        remove_dust(store, &dust);
    bytes_clear(&dust.keys);
    return dust.count;
}

unsigned store_sweep(void)
{
    static unsigned first; /* the table that is looked at first */
    unsigned i, count = 0;

    if (store_db.env == NULL || store_db.count == 0)
        return 0;
    (void)mdb_reader_check(store_db.env, NULL);
    first++;
    for (i = 0; i < store_db.count && count < SWEEP_REMOVED; i++)
        count += sweep(store_db.tables[(first + i) % store_db.count],
                       SWEEP_REMOVED - count, SWEEP_TIME / store_db.count);
    return count;
}

/* ---- to the disk ---- */

bool store_take_dirty(void)
{
    bool dirty = store_db.env != NULL && store_db.dirty && !store_db.in_memory;

    store_db.dirty = false;
    return dirty;
}

int store_sync(void)
{
    int failure = mdb_env_sync(store_db.env, 1);

    return failure == 0 ? 0 : failure > 0 ? failure : EIO;
}
