/* One entry as it lies in the trees of its table. Used by proc/store and
 * proc/store_room. Functions return 0 or a code of LMDB. */
#ifndef PROC_STORE_ITEM_H
#define PROC_STORE_ITEM_H

#include <stdbool.h>

#include "proc/store_db.h"

/* The head of an entry, whose value in the tree of entries this is. */
void store_item_head(const MDB_val *value, struct store_entry *entry);

/* Reads the bytes as well: entry->value points into the map, or into buffer,
 * valid until either changes. */
int store_item_read(MDB_txn *txn, const struct store *table,
                    const MDB_val *value, struct store_entry *entry,
                    struct bytes *buffer);

/* Writes the entry; what was there has been removed. */
int store_item_put(MDB_txn *txn, const struct store *table, MDB_val *key,
                   const struct store_entry *entry);

/* Removes what the entry, with that head, has besides its place in the tree of
 * entries; all of it. */
int store_item_strip(MDB_txn *txn, const struct store *table,
                     const struct store_entry *head);
int store_item_remove(MDB_txn *txn, const struct store *table, MDB_val *key,
                      const struct store_entry *head);

/* Whether an entry with that head has expired. */
bool store_item_is_expired(const struct store_entry *head);

#endif
