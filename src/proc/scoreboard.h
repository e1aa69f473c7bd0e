/* Memory that a primary and its workers share: what all of them need to know (a
 * secret, the seed of TLS tickets), and a row for each worker in which it says
 * that it is alive and what it does. One writer for each row, atomics, no
 * locks: a worker that dies within a write harms nobody. Used by
 * script/l_cluster.c. */
#ifndef PROC_SCOREBOARD_H
#define PROC_SCOREBOARD_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    SCOREBOARD_ROWS = 1024, /* workers at a time, old ones at drain included */
    SCOREBOARD_SECRET = 32, /* bytes */
    SCOREBOARD_SEED = 48
};

struct scoreboard_row {
    _Atomic int64_t pid;  /* 0: free */
    _Atomic int64_t beat; /* nanoseconds of the monotonic clock; 0: never */
    _Atomic uint64_t requests;    /* answered */
    _Atomic uint64_t connections; /* open */
    _Atomic uint64_t memory;      /* bytes of Lua */
    _Atomic uint64_t lag;         /* microseconds that the last beat was late */
    _Atomic uint64_t unused[2];
};

struct scoreboard {
    uint32_t magic, version, size, unused;
    unsigned char secret[SCOREBOARD_SECRET];
    unsigned char seed[SCOREBOARD_SEED];
    struct scoreboard_row rows[SCOREBOARD_ROWS];
};

/* Makes one, zeroed but for its head, and its descriptor (close-on-exec).
 * Returns it, or NULL with errno. */
struct scoreboard *scoreboard_new(int *fd);

/* That of the primary which passed fd. NULL with errno; EPROTO where a primary
 * of another version made it. */
struct scoreboard *scoreboard_join(int fd);

/* Takes a free row for the worker pid. Returns its number, or -1 where there is
 * none. */
int scoreboard_take(struct scoreboard *s, int64_t pid);

/* Zeroes the row. */
void scoreboard_give(struct scoreboard *s, int row);

#endif
