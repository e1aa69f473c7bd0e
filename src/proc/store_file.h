/* The file of the store: where it lies, who made it, its space on the disk, and
 * whether what it holds can be trusted. Used by proc/store. Errors are a line
 * for people. */
#ifndef PROC_STORE_FILE_H
#define PROC_STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STORE_PATH_SIZE = 1024 };

/* Makes a folder for a store in shared memory, removing those that dead
 * processes have left, and writes the file's path to path. The folder is marked
 * as in use until the process ends. Returns 0, or -1 and error. */
int store_file_make(char path[static STORE_PATH_SIZE], char *error,
                    size_t size);

/* Whether the path is one of store_file_make, maybe in another process. */
bool store_file_is_made(const char *path);

/* Gives what there is (a made folder, the file, its lock) to that user. */
void store_file_give(const char *path, uid_t uid, gid_t gid);

/* Removes the folder of store_file_make. */
void store_file_remove(const char *path);

/* Opens path and waits for its lock. *alone tells whether no other process has
 * it; then others wait until store_file_settle. Returns the descriptor, which
 * holds the lock, or -1 and error. */
int store_file_lock(const char *path, bool *alone, char *error, size_t size);

/* Lets others open the file. */
void store_file_settle(int fd);

/* The bytes of the file. */
uint64_t store_file_size(int fd);

/* Has the disk set size bytes aside. Returns 0, or -1 and error. */
int store_file_allocate(int fd, const char *path, uint64_t size, char *error,
                        size_t error_size);

/* The same for the file of LMDB's locks, which is made where it is missing. */
int store_file_allocate_locks(const char *path, uint64_t size, char *error,
                              size_t error_size);

#endif
