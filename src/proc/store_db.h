/* The file of the store as LMDB sees it: opened once in a process, its tables,
 * its transactions. Used by proc/store and proc/store_room, on the loop's
 * thread alone. */
#ifndef PROC_STORE_DB_H
#define PROC_STORE_DB_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "proc/store.h"

/* A table is three trees: the entries by key, the keys by age, which is the
 * version of the entry, and the pieces of big entries. */
struct store {
    MDB_dbi entries, ages, pieces;
    uint64_t max_bytes; /* 0: as the file allows */
    char name[STORE_NAME_MAX + 1];
    struct bytes swept; /* the last key that was swept; empty: from the start */
};

struct store_db {
    MDB_env *env; /* NULL: not open */
    MDB_txn *reader;
    struct store *tables[STORE_TABLES_MAX];
    unsigned count;
    uint64_t size;  /* bytes of the file */
    bool in_memory; /* goes with the process, or the cluster */
    bool dirty;
};

extern struct store_db store_db;

/* See proc/store.h. */
void store_db_setup(const char *path, uint64_t size);
void store_db_give(uid_t uid, gid_t gid);
const char *store_db_path(void);
bool store_db_is_lasting(void);
void store_db_close(void);
const char *store_db_error(void);

/* Opens the file where it is not open. This and what follows returns 0, or -1
 * with store_db_error. */
int store_db_open(void);

/* Opens or makes the table: *table, which is the process's. */
int store_db_table(const char *name, struct store **table);

/* Has store_db.tables hold each table of the file; while nothing is written,
 * since LMDB forgets what was opened in a transaction that it takes back. */
int store_db_learn(void);

/* Whether there is nothing to learn, as far as txn sees. */
bool store_db_knows(MDB_txn *txn);

/* Begins to read, until store_db_done. */
int store_db_read(void);
void store_db_done(void);

/* Begins to write, until one of the others; store_db_commit returns 0 or a code
 * of LMDB. */
int store_db_write(MDB_txn **txn);
int store_db_commit(MDB_txn *txn);
void store_db_abort(MDB_txn *txn);

/* Whether the last call failed because another process keeps the turn. */
bool store_db_is_busy(void);

/* Notes the failure of LMDB, or the line of text. Returns -1. */
int store_db_fail(int code);
int store_db_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
