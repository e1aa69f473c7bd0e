/* The lock lies in a small file of its own, STORE-turn, since the layout of
 * LMDB's lock file is LMDB's. It waits in slices, so that the time in which
 * this process itself was stopped counts as one of them. */
#include "proc/store_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    SIZE = 4096, /* of the file */
    SLICES = 20,
    SLICE = 100 * 1000 * 1000 /* nanoseconds */
};

struct turn {
    pthread_mutex_t mutex;
    pid_t holder; /* who has it, or had it last */
};

static struct turn *turn; /* NULL: not open */
static bool is_stuck;     /* waiting was in vain; from now on we only look */

static int make(struct turn *t)
{
    pthread_mutexattr_t kind;
    int failure = pthread_mutexattr_init(&kind);

    if (failure != 0)
        return failure;
    memset(t, 0, sizeof *t);
    failure = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    if (failure == 0)
        failure = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    if (failure == 0)
        failure = pthread_mutex_init(&t->mutex, &kind);
    (void)pthread_mutexattr_destroy(&kind);
    return failure;
}

/* Maps the file at name. Returns 0 or an errno. */
static int map(const char *name, bool alone)
{
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), failure = 0;
    void *p = MAP_FAILED;

    if (fd < 0)
        return errno;
    if (alone)
        failure = posix_fallocate(fd, 0, SIZE);
    if (failure == 0) {
        p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        failure = p == MAP_FAILED ? errno : 0;
    }
    close(fd);
    if (failure != 0)
        return failure;
    turn = p;
    is_stuck = false;
    return alone ? make(turn) : 0;
}

int store_turn_open(const char *path, bool alone, char *error, size_t size)
{
    char name[1024 + 8];
    int failure;

    snprintf(name, sizeof name, "%s-turn", path);
    failure = map(name, alone);
    if (failure == 0)
        return 0;
    store_turn_close();
    snprintf(error, size, "cannot make %s: %s", name, strerror(failure));
    return -1;
}

static int wait_slice(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SLICE;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_mutex_clocklock(&turn->mutex, CLOCK_MONOTONIC, &until);
}

/* Returns 0 or why the lock was not to be had: EBUSY or ETIMEDOUT. */
static int lock(void)
{
    int failure = pthread_mutex_trylock(&turn->mutex), slice;

    for (slice = 0; (failure == EBUSY || failure == ETIMEDOUT) && !is_stuck &&
                    slice < SLICES;
         slice++)
        failure = wait_slice();
    if (failure != EOWNERDEAD)
        return failure;
    /* What it was at is LMDB's to undo. */
    return pthread_mutex_consistent(&turn->mutex);
}

pid_t store_turn_take(void)
{
    is_stuck = lock() != 0;
    if (is_stuck)
        return turn->holder;
    turn->holder = getpid();
    return 0;
}

void store_turn_give(void)
{
    (void)pthread_mutex_unlock(&turn->mutex);
}

void store_turn_close(void)
{
    if (turn != NULL)
        (void)munmap(turn, SIZE);
    turn = NULL;
}
