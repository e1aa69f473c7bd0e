/* A table is as big as its pages, and the file is full from 85 % on: LMDB
 * writes each changed page anew, and pages that readers still look at cannot be
 * used again, so that it needs some to be able to remove anything. For the same
 * reason not many entries go in one transaction. Entries go until twice the
 * bytes that are to be added are gone: pages become free only when they are
 * nearly empty.
 *
 * Where the file is full the oldest entry of all tables goes, but of those
 * whose names begin with a dot, which are luaserve's own, and small. */
#include "proc/store_room.h"

#include <string.h>

#include "proc/store_item.h"

enum {
    FULL = 85,     /* percent */
    OVERHEAD = 96, /* bytes of an entry besides its key, twice, and its value */
    EVICT_WITHIN = 64, /* entries, in the transaction that writes */
    EVICT_APART = 256, /* entries, in one of their own */
    VAIN_MAX = 8,
    VALUE_PART = 32, /* of the file: the biggest value */
    VALUE_PART_OF_TABLE = 8
};

size_t store_room_value_max(const struct store *table)
{
    uint64_t max = store_db.size / VALUE_PART;

    if (table->max_bytes && table->max_bytes / VALUE_PART_OF_TABLE < max)
        max = table->max_bytes / VALUE_PART_OF_TABLE;
    return (size_t)max;
}

/* Adds the bytes of the table's pages to *bytes. */
static int measure(MDB_txn *txn, const struct store *table, uint64_t *bytes)
{
    MDB_dbi trees[3] = {table->entries, table->ages, table->pieces};
    MDB_stat stat;
    int i, failure;

    for (i = 0; i < 3; i++) {
        failure = mdb_stat(txn, trees[i], &stat);
        if (failure != 0)
            return failure;
        *bytes += stat.ms_psize * (stat.ms_branch_pages + stat.ms_leaf_pages +
                                   stat.ms_overflow_pages);
    }
    return 0;
}

/* Removes the oldest entry, and adds its bytes to *freed. */
static int evict(MDB_txn *txn, const struct store *table, uint64_t *freed)
{
    struct store_entry head;
    MDB_cursor *cursor;
    MDB_val age, at, key, value;
    char copy[STORE_KEY_MAX];
    int failure = mdb_cursor_open(txn, table->ages, &cursor);

    if (failure != 0)
        return failure;
    failure = mdb_cursor_get(cursor, &age, &at, MDB_FIRST);
    mdb_cursor_close(cursor);
    if (failure != 0)
        return failure;
    /* What it points to may move while something is removed. */
    key = (MDB_val){at.mv_size < sizeof copy ? at.mv_size : sizeof copy, copy};
    memcpy(copy, at.mv_data, key.mv_size);
    failure = mdb_get(txn, table->entries, &key, &value);
    if (failure != 0)
        return failure == MDB_NOTFOUND ? MDB_CORRUPTED : failure;
    store_item_head(&value, &head);
    *freed += head.n + 2 * key.mv_size + OVERHEAD;
    return store_item_remove(txn, table, &key, &head);
}

/* The version of the table's oldest entry, in *age. */
static int oldest_of(MDB_txn *txn, const struct store *table, uint64_t *age)
{
    MDB_cursor *cursor;
    MDB_val key;
    int failure = mdb_cursor_open(txn, table->ages, &cursor);

    if (failure != 0)
        return failure;
    failure = mdb_cursor_get(cursor, &key, NULL, MDB_FIRST);
    if (failure == 0)
        memcpy(age, key.mv_data, sizeof *age);
    mdb_cursor_close(cursor);
    return failure;
}

/* The table with the oldest entry of all, or NULL. */
static const struct store *find_oldest(MDB_txn *txn)
{
    const struct store *found = NULL;
    uint64_t least = UINT64_MAX, age;
    unsigned i;

    for (i = 0; i < store_db.count; i++) {
        if (store_db.tables[i]->name[0] == '.' ||
            oldest_of(txn, store_db.tables[i], &age) != 0 || age >= least)
            continue;
        least = age;
        found = store_db.tables[i];
    }
    return found;
}

/* Removes the oldest entries, of room->from or all, at most most of them, until
 * so many bytes have gone in all. MDB_NOTFOUND: there are no more. */
static int evict_some(MDB_txn *txn, struct store_room *room, uint64_t bytes,
                      unsigned most)
{
    int failure = 0;

    while (failure == 0 && room->freed < bytes && most-- > 0) {
        const struct store *from = room->from ? room->from : find_oldest(txn);

        if (from == NULL)
            return MDB_NOTFOUND;
        failure = evict(txn, from, &room->freed);
    }
    return failure;
}

/* Whether the file is full, which the count of pages that were ever used rules
 * out at first. */
static int is_full(MDB_txn *txn, uint64_t more, bool *full)
{
    uint64_t limit = store_db.size / 100 * FULL, bytes = more;
    MDB_envinfo info;
    MDB_stat stat;
    unsigned i;
    int failure = mdb_env_info(store_db.env, &info);

    *full = false;
    if (failure == 0)
        failure = mdb_env_stat(store_db.env, &stat);
    if (failure != 0 || (info.me_last_pgno + 1) * stat.ms_psize + more < limit)
        return failure;
    if (!store_db_knows(txn))
        return MDB_DBS_FULL;
    for (i = 0; i < store_db.count && failure == 0; i++)
        failure = measure(txn, store_db.tables[i], &bytes);
    *full = bytes > limit;
    return failure;
}

/* Has the oldest of table (NULL: of all) go for n bytes that come. What has
 * gone before, for the same write, counts. */
static int replace(MDB_txn *txn, const struct store *table, size_t n,
                   struct store_room *room)
{
    struct store_room here = *room;
    int failure;

    room->from = here.from = table;
    failure = evict_some(txn, &here, 2 * n, EVICT_WITHIN);
    if (failure != 0)
        return failure == MDB_NOTFOUND ? 0 : failure;
    return here.freed >= 2 * n ? 0 : MDB_MAP_FULL;
}

int store_room_make(MDB_txn *txn, const struct store *table, size_t n,
                    struct store_room *room)
{
    uint64_t bytes;
    bool full;
    int failure;

    n += OVERHEAD;
    bytes = n;
    if (table->max_bytes) {
        failure = measure(txn, table, &bytes);
        if (failure != 0 || bytes > table->max_bytes)
            return failure != 0 ? failure : replace(txn, table, n, room);
    }
    failure = is_full(txn, n, &full);
    if (failure != 0 || !full || table->name[0] == '.')
        return failure;
    return replace(txn, NULL, n, room);
}

/* Removes up to that many of the oldest entries. */
static int relieve(struct store_room *room, unsigned most)
{
    struct store_room here = *room;
    MDB_txn *txn;
    int failure;

    if (store_db_write(&txn) < 0)
        return MDB_PANIC;
    failure = evict_some(txn, &here, UINT64_MAX, most);
    if (failure == MDB_NOTFOUND && here.freed == room->freed)
        here.vain++;
    if (failure == 0 || failure == MDB_NOTFOUND) {
        *room = here;
        return store_db_commit(txn);
    }
    store_db_abort(txn);
    return failure;
}

int store_room_relieve(struct store_room *room)
{
    unsigned most = EVICT_APART;
    int failure;

    if (room->vain > VAIN_MAX)
        return store_db_fail(MDB_MAP_FULL);
    (void)mdb_reader_check(store_db.env, NULL);
    if (store_db_learn() < 0)
        return -1;
    while ((failure = relieve(room, most)) == MDB_MAP_FULL && most > 1)
        most /= 2;
    if (failure == MDB_PANIC)
        return -1;
    return failure == 0 ? 0 : store_db_fail(failure);
}
