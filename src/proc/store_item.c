/* An entry is its version and expiry, and its bytes, under its key; the key
 * stands a second time under the version in the tree of ages. Bytes that do not
 * fit into a page lie apart, in pieces of a page each, under the version and
 * their number: LMDB would take pages in a row for them, which it looks for
 * longer and longer as the file fills. */
#include "proc/store_item.h"

#include <string.h>

enum {
    HEAD = 2 * sizeof(uint64_t),
    INLINE = 1900,    /* bytes of an entry that stay with its head */
    PIECE = 4096 - 16 /* all of a page but its header */
};

/* Where bytes lie apart the expiry is marked, and their count follows. */
static const uint64_t APART = UINT64_C(1) << 63;

struct piece_key {
    unsigned char version[8], number[4]; /* big-endian: LMDB compares bytes */
};

static MDB_val piece_of(struct piece_key *key, uint64_t version, uint64_t i)
{
    int k;

    for (k = 0; k < 8; k++)
        key->version[k] = (unsigned char)(version >> (56 - 8 * k));
    for (k = 0; k < 4; k++)
        key->number[k] = (unsigned char)(i >> (24 - 8 * k));
    return (MDB_val){sizeof *key, key};
}

bool store_item_is_expired(const struct store_entry *head)
{
    return head->expires != 0 && head->expires <= store_now();
}

void store_item_head(const MDB_val *value, struct store_entry *entry)
{
    uint64_t words[3] = {0, 0, 0};
    size_t n = value->mv_size;

    *entry = (struct store_entry){0};
    if (n < HEAD)
        return;
    memcpy(words, value->mv_data, n < sizeof words ? n : sizeof words);
    entry->version = words[0];
    entry->expires = words[1] & ~APART;
    if (words[1] & APART) {
        entry->n = (size_t)words[2];
        return;
    }
    entry->n = n - HEAD;
    entry->value = (const char *)value->mv_data + HEAD;
}

int store_item_read(MDB_txn *txn, const struct store *table,
                    const MDB_val *value, struct store_entry *entry,
                    struct bytes *buffer)
{
    struct piece_key name;
    size_t at, n;
    uint64_t i = 0;

    store_item_head(value, entry);
    if (entry->value != NULL || entry->version == 0)
        return 0;
    buffer->n = 0;
    for (at = 0; at < entry->n; at += n) {
        MDB_val key = piece_of(&name, entry->version, i++), piece;
        int failure = mdb_get(txn, table->pieces, &key, &piece);

        n = entry->n - at < PIECE ? entry->n - at : PIECE;
        if (failure != 0 || piece.mv_size != n)
            return failure != 0 && failure != MDB_NOTFOUND ? failure
                                                           : MDB_CORRUPTED;
        bytes_append(buffer, piece.mv_data, n);
    }
    entry->value = buffer->p;
    return 0;
}

static int put_pieces(MDB_txn *txn, const struct store *table, uint64_t version,
                      const struct store_entry *entry)
{
    struct piece_key name;
    size_t at, n;
    uint64_t i = 0;
    int failure = 0;

    for (at = 0; at < entry->n && failure == 0; at += n) {
        MDB_val key = piece_of(&name, version, i++);
        MDB_val value;

        n = entry->n - at < PIECE ? entry->n - at : PIECE;
        value = (MDB_val){n, (void *)(uintptr_t)(entry->value + at)};
        failure = mdb_put(txn, table->pieces, &key, &value, MDB_APPEND);
    }
    return failure;
}

int store_item_put(MDB_txn *txn, const struct store *table, MDB_val *key,
                   const struct store_entry *entry)
{
    bool apart = entry->n > INLINE;
    uint64_t words[3] = {mdb_txn_id(txn), entry->expires | (apart ? APART : 0),
                         entry->n};
    size_t head = apart ? sizeof words : HEAD, n = apart ? 0 : entry->n;
    MDB_val value = {head + n, NULL}, age = {sizeof words[0], &words[0]};
    int failure = mdb_put(txn, table->entries, key, &value, MDB_RESERVE);

    if (failure != 0)
        return failure;
    memcpy(value.mv_data, words, head);
    if (n > 0)
        memcpy((char *)value.mv_data + head, entry->value, n);
    failure = mdb_put(txn, table->ages, &age, key, MDB_APPEND);
    return failure == 0 && apart ? put_pieces(txn, table, words[0], entry)
                                 : failure;
}

int store_item_strip(MDB_txn *txn, const struct store *table,
                     const struct store_entry *head)
{
    uint64_t version = head->version, i;
    MDB_val age = {sizeof version, &version};
    struct piece_key name;
    int failure = mdb_del(txn, table->ages, &age, NULL);

    if (failure == MDB_NOTFOUND)
        failure = 0;
    if (head->value != NULL || head->n == 0)
        return failure;
    for (i = 0; i * PIECE < head->n && failure == 0; i++) {
        MDB_val key = piece_of(&name, version, i);

        failure = mdb_del(txn, table->pieces, &key, NULL);
    }
    return failure == MDB_NOTFOUND ? 0 : failure;
}

int store_item_remove(MDB_txn *txn, const struct store *table, MDB_val *key,
                      const struct store_entry *head)
{
    int failure = store_item_strip(txn, table, head);

    return failure == 0 ? mdb_del(txn, table->entries, key, NULL) : failure;
}
