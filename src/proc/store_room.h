/* Room in the store: what was written longest ago goes. Used by proc/store. */
#ifndef PROC_STORE_ROOM_H
#define PROC_STORE_ROOM_H

#include "proc/store_db.h"

/* What was done for one write. */
struct store_room {
    uint64_t freed;           /* bytes of entries that have gone */
    const struct store *from; /* that they are to go from; NULL: from all */
    unsigned vain;            /* times that nothing was left to go */
};

/* The most bytes that a value of the table may have. */
size_t store_room_value_max(const struct store *table);

/* Makes room in txn, which writes, for n bytes that are to be added to table.
 * Returns 0 or a code of LMDB. MDB_MAP_FULL: store_room_relieve is to be
 * called, and the write tried again; MDB_DBS_FULL: store_db_learn first. */
int store_room_make(MDB_txn *txn, const struct store *table, size_t n,
                    struct store_room *room);

/* Makes more of it, in a transaction of its own. Returns 0, or -1 with
 * store_db_error. */
int store_room_relieve(struct store_room *room);

#endif
