/* The store: named tables of entries (a key, bytes, a time to live) that all
 * processes of a cluster share. It lies in one file, in shared memory unless
 * --store names another, and each process opens it itself (LMDB). An entry is
 * whole or absent, whatever dies when; a process that is killed while it writes
 * holds nobody up. A table that is full loses what was written longest ago.
 *
 * Used by script/l_store, and by what starts workers (store_share). Calls take
 * microseconds and are for the loop's thread alone, but store_sync. Left out on
 * purpose: transactions over several entries. */
#ifndef PROC_STORE_H
#define PROC_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    STORE_NAME_MAX = 64, /* bytes of a table's name */
    STORE_KEY_MAX = 500, /* bytes of a key */
    STORE_TABLES_MAX = 64,
    STORE_ERROR_SIZE = 512,
    STORE_SIZE = 32 * 1024 * 1024, /* bytes of the file by default: what a
                                      container has for shared memory is twice
                                      that */
    STORE_BYTES_MIN = 256 * 1024 /* the least that a table may be limited to */
};

/* The environment variable by which a worker is told the file of its cluster.
 */
#define STORE_ENV "LUASERVE_STORE_PATH"

struct store; /* a table */

/* An entry as it is, or is to be. */
struct store_entry {
    const char *value;
    size_t n;         /* bytes */
    uint64_t version; /* another one with each write; 0: there is none */
    uint64_t expires; /* milliseconds since 1970; 0: never */
};

/* What an edit wants done. */
enum store_edit { STORE_KEEP, STORE_WRITE, STORE_REMOVE };

/* Says where the store is to be: path (NULL: in shared memory) of size bytes
 * (0: STORE_SIZE, less where shared memory is short). Takes a cluster's path
 * out of the environment, which wins. */
void store_setup(const char *path, uint64_t size);

/* Has what is made belong to that user and group; for root, who becomes them.
 */
void store_give(uid_t uid, gid_t gid);

/* The path that workers are to be given in STORE_ENV; valid until the process
 * ends. Makes nothing but the folder in shared memory: the first that opens a
 * table makes the file. Returns NULL and a line in error. */
const char *store_share(char error[static STORE_ERROR_SIZE]);

/* Whether what is kept outlives the processes that use it: false where it lies
 * in shared memory, in a folder of ours that goes with them. */
bool store_is_lasting(void);

/* Opens the table, making it where it is new; max_bytes limits what it may
 * grow to (0: the whole file). It is the process's until it ends. Returns NULL
 * and a line in error. */
struct store *store_open(const char *name, uint64_t max_bytes,
                         char error[static STORE_ERROR_SIZE]);

/* The most bytes that a value of the table may have. */
size_t store_value_max(const struct store *store);

/* Reads an entry that has not expired into *entry, valid until the next call;
 * version is 0 where there is none. All that may fail returns 0, or -1 with
 * store_error saying why. */
int store_get(struct store *store, const char *key, size_t n,
              struct store_entry *entry);

/* Changes an entry while nobody else does: edit gets the old one (version 0:
 * none) and fills in value, n and expires of the new one, which is borrowed
 * until store_edit returns and lies outside of the old one. It may be called
 * again, and must not touch the store. Returns 0, or -1 and store_error. */
int store_edit(struct store *store, const char *key, size_t n,
               enum store_edit (*edit)(const struct store_entry *old,
                                       struct store_entry *entry, void *arg),
               void *arg);

/* Calls fn with each key that begins with prefix, in the order of their bytes;
 * expired ones are left out. fn must not touch the store. */
int store_each(struct store *store, const char *prefix, size_t n,
               void (*fn)(const char *key, size_t n, void *arg), void *arg);

/* Counts the entries; in a table of more than 10,000, with those that have
 * expired and were not swept yet. */
int store_count(struct store *store, uint64_t *count);

/* The same with all that have expired; 0 where it fails. */
uint64_t store_rows(struct store *store);

/* Removes all entries of the table. */
int store_clear(struct store *store);

/* Removes what has expired among the next entries of the next tables: a step
 * of a millisecond or two. Returns how many were removed. */
unsigned store_sweep(void);

/* Whether something was written to a file since the last call. Then store_sync
 * brings it to the disk, which blocks; any thread may call it, before
 * store_close. Returns 0 or an errno. */
bool store_take_dirty(void);
int store_sync(void);

/* Why the last call failed, one line; and whether that is because a process has
 * stopped in the middle of writing: then it may be tried again. */
const char *store_error(void);
bool store_is_busy(void);

/* Closes all, and removes the file where it was in shared memory and this
 * process made it. May be called without anything open. */
void store_close(void);

/* Milliseconds since 1970. */
uint64_t store_now(void);

#endif
