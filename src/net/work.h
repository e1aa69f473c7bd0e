/* The thread pool: runs what would block the loop (files, name look-ups, slow
 * hashes) on a few threads. A job is embedded in its owner's struct; run() is
 * called on a thread, done() later on the loop's thread. Used by script/l_fs,
 * l_crypto and worker. Left out on purpose: priorities, a limit on the queue
 * (what submits is limited already), stopping a job that runs, and threads
 * that end when idle. */
#ifndef NET_WORK_H
#define NET_WORK_H

#include <ev.h>
#include <stdbool.h>

#include "base/list.h"

enum {
    WORK_THREADS = 4,             /* the default */
    WORK_THREADS_MAX = 128,       /* more are taken as this many */
    WORK_STACK_SIZE = 256 * 1024, /* bytes of each thread's stack */
    WORK_BATCH = 32               /* jobs whose ends are told in one turn */
};

struct work;

struct job {
    struct list link;           /* the pool's, while the job is out */
    void (*run)(struct job *);  /* on a thread: touches no Lua, no loop */
    void (*done)(struct job *); /* on the loop; may free the job, may submit */
    bool cancelled;             /* read in done: run() was never called */
    bool queued;                /* the pool's */
    bool posted;                /* the pool's: by work_post */
};

/* Makes a pool of up to that many threads, which start as jobs need them. The
 * caller owns it; loop is borrowed until work_free. */
struct work *work_new(struct ev_loop *loop, unsigned threads);

/* Cancels what has not started, waits for what runs (which may block), calls
 * the done() of every job still out, and frees the pool. Not from a done(). */
void work_free(struct work *work);

/* Queues job with its run and done set. The job stays its owner's but must not
 * move or go until done() was called, at a later turn of the loop; jobs that
 * are out keep the loop running. On the loop's thread only. */
void work_submit(struct work *work, struct job *job);

/* Like work_submit, for a job that is done already: its done() is called at the
 * next turn of the loop, and no thread is needed. */
void work_submit_done(struct work *work, struct job *job);

/* Takes job, which is out, off the queue: its done() is called at a later turn
 * with cancelled set. Returns false where it has started already; then it ends
 * as if nothing had been asked. On the loop's thread only. */
bool work_cancel(struct work *work, struct job *job);

/* From the run() of another job, on its thread: has done() of this one called
 * on the loop, before that of the other: what is ready of a job that goes on.
 */
void work_post(struct work *work, struct job *job);

/* The count of jobs whose done() is still to come, without those posted. */
unsigned work_out(const struct work *work);

#endif
