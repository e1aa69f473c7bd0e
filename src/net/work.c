/* One queue, one mutex, one condition: jobs here take tens of microseconds at
 * least, so a lock of some nanoseconds is not worth avoiding. Threads hand
 * finished jobs back through a list and one ev_async, which libev folds into
 * one wake-up however many jobs end meanwhile. The async watcher is counted by
 * the loop only while jobs are out, so that an idle pool never keeps a finished
 * program alive. Where no thread can be made at all, jobs run on the loop's
 * thread: slow, but right. */
#include "net/work.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct work {
    struct ev_loop *loop;
    ev_async wake_loop;
    unsigned out; /* the loop thread's: submitted, done() not yet called */
    unsigned threads, max_threads; /* the loop thread's */
    bool warned;                   /* that there is no thread */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t wake_thread;
    struct list queue, finished;
    unsigned waiting; /* jobs in queue */
    unsigned idle;    /* threads in pthread_cond_wait */
    bool stopping;

    pthread_t thread[];
};

/* Hands job back to the loop. Called with the lock; returns without it. */
static void finish_and_unlock(struct work *work, struct job *job)
{
    bool first = list_empty(&work->finished);

    list_push(&work->finished, &job->link);
    pthread_mutex_unlock(&work->lock);
    if (first)
        ev_async_send(work->loop, &work->wake_loop);
}

/* Waits for a job; NULL when the pool stops. Called and returns with the lock.
 */
static struct job *next_job(struct work *work)
{
    struct job *job;

    while (list_empty(&work->queue) && !work->stopping) {
        work->idle++;
        pthread_cond_wait(&work->wake_thread, &work->lock);
        work->idle--;
    }
    if (list_empty(&work->queue))
        return NULL;
    job = LIST_ITEM(list_shift(&work->queue), struct job, link);
    job->queued = false;
    work->waiting--;
    return job;
}

static void *thread_main(void *arg)
{
    struct work *work = arg;
    struct job *job;

    pthread_mutex_lock(&work->lock);
    while ((job = next_job(work)) != NULL) {
        pthread_mutex_unlock(&work->lock);
        job->run(job);
        pthread_mutex_lock(&work->lock);
        finish_and_unlock(work, job);
        pthread_mutex_lock(&work->lock);
    }
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

/* Signals belong to the loop's thread: a new thread inherits a mask with all
 * of them blocked. Returns 0 or an errno. */
static int start_thread(struct work *work)
{
    pthread_t *thread = &work->thread[work->threads];
    pthread_attr_t attr;
    sigset_t all, old;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORK_STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(thread, &attr, thread_main, work);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (error)
        return error;
    pthread_setname_np(*thread, "luaserve-work");
    work->threads++;
    return 0;
}

/* Moves the first of from, at most n in order, into the empty list to. */
static void take_some(struct list *to, struct list *from, int n)
{
    struct list *node;

    while (n-- > 0 && (node = list_shift(from)) != NULL)
        list_push(to, node);
}

/* Calls done() for what has finished by now, or for a batch of it: signals and
 * sockets have their turn before the next one. */
static void deliver(struct work *work)
{
    struct list jobs, *node;
    bool more;

    list_init(&jobs);
    pthread_mutex_lock(&work->lock);
    take_some(&jobs, &work->finished, WORK_BATCH);
    more = !list_empty(&work->finished);
    pthread_mutex_unlock(&work->lock);
    if (more)
        ev_async_send(work->loop, &work->wake_loop);
    while ((node = list_shift(&jobs)) != NULL) {
        struct job *job = LIST_ITEM(node, struct job, link);

        if (!job->posted && --work->out == 0)
            ev_unref(work->loop);
        job->done(job);
    }
}

static void on_finished(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)loop;
    (void)events;
    deliver(watcher->data);
}

struct work *work_new(struct ev_loop *loop, unsigned threads)
{
    struct work *work;

    if (threads < 1)
        threads = 1;
    if (threads > WORK_THREADS_MAX)
        threads = WORK_THREADS_MAX;
    work = mem_zalloc(sizeof(*work) + threads * sizeof(work->thread[0]));
    work->loop = loop;
    work->max_threads = threads;
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->wake_thread, NULL);
    list_init(&work->queue);
    list_init(&work->finished);
    ev_async_init(&work->wake_loop, on_finished);
    work->wake_loop.data = work;
    ev_async_start(loop, &work->wake_loop);
    ev_unref(loop);
    return work;
}

/* Runs what is queued here and now: the answer to having no thread. */
static void run_queue(struct work *work)
{
    struct job *job;

    pthread_mutex_lock(&work->lock);
    while (!list_empty(&work->queue)) {
        job = next_job(work);
        pthread_mutex_unlock(&work->lock);
        job->run(job);
        pthread_mutex_lock(&work->lock);
        finish_and_unlock(work, job);
        pthread_mutex_lock(&work->lock);
    }
    pthread_mutex_unlock(&work->lock);
}

static void add_thread(struct work *work)
{
    int error;

    if (work->threads == work->max_threads)
        return;
    error = start_thread(work);
    if (error == 0 || work->threads > 0)
        return; /* with fewer threads than wanted, jobs only wait longer */
    if (!work->warned)
        log_warn("cannot start a thread: %s; blocking work runs on the loop",
                 strerror(error));
    work->warned = true;
    run_queue(work);
}

/* It is followed by the end of the job that posts it, which is counted. */
void work_post(struct work *work, struct job *job)
{
    job->cancelled = job->queued = false;
    job->posted = true;
    pthread_mutex_lock(&work->lock);
    finish_and_unlock(work, job);
}

static void count_out(struct work *work, struct job *job)
{
    job->posted = false;
    if (work->out++ == 0)
        ev_ref(work->loop);
}

void work_submit_done(struct work *work, struct job *job)
{
    count_out(work, job);
    job->cancelled = job->queued = false;
    pthread_mutex_lock(&work->lock);
    finish_and_unlock(work, job);
}

void work_submit(struct work *work, struct job *job)
{
    bool crowded, asleep;

    count_out(work, job);
    job->cancelled = work->stopping;
    job->queued = !work->stopping;
    pthread_mutex_lock(&work->lock);
    if (job->cancelled) {
        finish_and_unlock(work, job);
        return;
    }
    list_push(&work->queue, &job->link);
    crowded = ++work->waiting > work->idle;
    asleep = work->idle > 0;
    pthread_mutex_unlock(&work->lock);
    if (asleep) /* who wakes finds the lock free */
        pthread_cond_signal(&work->wake_thread);
    if (crowded)
        add_thread(work);
}

bool work_cancel(struct work *work, struct job *job)
{
    pthread_mutex_lock(&work->lock);
    if (!job->queued) {
        pthread_mutex_unlock(&work->lock);
        return false;
    }
    list_remove(&job->link);
    work->waiting--;
    job->queued = false;
    job->cancelled = true;
    finish_and_unlock(work, job);
    return true;
}

unsigned work_out(const struct work *work)
{
    return work->out;
}

/* From here on the threads find no job and end; submits are cancelled. */
static void stop_threads(struct work *work)
{
    struct list *node;

    pthread_mutex_lock(&work->lock);
    work->stopping = true;
    while ((node = list_shift(&work->queue)) != NULL) {
        struct job *job = LIST_ITEM(node, struct job, link);

        job->queued = false;
        job->cancelled = true;
        list_push(&work->finished, node);
    }
    work->waiting = 0;
    pthread_cond_broadcast(&work->wake_thread);
    pthread_mutex_unlock(&work->lock);
    for (unsigned i = 0; i < work->threads; i++)
        pthread_join(work->thread[i], NULL);
}

void work_free(struct work *work)
{
    stop_threads(work);
    while (work->out > 0)
        deliver(work);
    assert(list_empty(&work->finished));
    ev_ref(work->loop);
    ev_async_stop(work->loop, &work->wake_loop);
    pthread_cond_destroy(&work->wake_thread);
    pthread_mutex_destroy(&work->lock);
    mem_free(work);
}
