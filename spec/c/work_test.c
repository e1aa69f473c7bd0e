/* The thread pool: where jobs run, in which order they come back, what keeps
 * the loop alive, cancelling, and the end. Run it under a thread sanitizer as
 * well. */
#include "net/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

enum { JOBS = 200 };

struct task {
    struct job job;
    pthread_t thread;
    bool signals_blocked;
    int runs, dones;
    struct work *work; /* to submit next to, or NULL */
    struct task *next; /* what done submits */
    struct gate *gate; /* what run waits for, or NULL */
};

/* Holds threads until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside;
    bool open;
};

static struct ev_loop *loop;

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){.open = false};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

static void gate_clear(struct gate *gate)
{
    pthread_mutex_destroy(&gate->lock);
    pthread_cond_destroy(&gate->changed);
}

static void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->inside++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_wait_for(struct gate *gate, int inside)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->inside < inside)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void run(struct job *job)
{
    struct task *task = LIST_ITEM(job, struct task, job);
    sigset_t mask;

    task->runs++;
    task->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    task->signals_blocked =
        sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1;
    if (task->gate)
        gate_pass(task->gate);
}

static void done(struct job *job)
{
    struct task *task = LIST_ITEM(job, struct task, job);

    task->dones++;
    if (task->next)
        work_submit(task->work, &task->next->job);
}

static struct task make_task(void)
{
    return (struct task){.job = {.run = run, .done = done}};
}

static void runs_jobs_on_a_thread_and_done_on_the_loop(void)
{
    struct work *work = work_new(loop, 2);
    struct task task = make_task();
    sigset_t mask;

    work_submit(work, &task.job);
    CHECK_INT(task.dones, 0);
    CHECK_INT(work_out(work), 1);
    ev_run(loop, 0);
    CHECK_INT(task.runs, 1);
    CHECK_INT(task.dones, 1);
    CHECK_INT(work_out(work), 0);
    CHECK(!task.job.cancelled);
    CHECK(!pthread_equal(task.thread, pthread_self()));
    CHECK(task.signals_blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK(!sigismember(&mask, SIGTERM));
    work_free(work);
}

static void does_not_keep_the_loop_without_jobs(void)
{
    struct work *work = work_new(loop, 2);

    CHECK_INT(ev_run(loop, 0), 0);
    work_free(work);
    CHECK_INT(ev_run(loop, 0), 0);
}

static void takes_jobs_that_are_done(void)
{
    struct work *work = work_new(loop, 1);
    struct task task = make_task();

    work_submit_done(work, &task.job);
    CHECK_INT(task.dones, 0);
    CHECK_INT(work_out(work), 1);
    ev_run(loop, 0);
    CHECK_INT(task.runs, 0);
    CHECK_INT(task.dones, 1);
    CHECK(!task.job.cancelled);
    work_free(work);
}

static void runs_many_jobs(void)
{
    struct work *work = work_new(loop, 4);
    struct task tasks[JOBS];

    for (int i = 0; i < JOBS; i++) {
        tasks[i] = make_task();
        work_submit(work, &tasks[i].job);
    }
    ev_run(loop, 0);
    for (int i = 0; i < JOBS; i++) {
        CHECK_INT(tasks[i].runs, 1);
        CHECK_INT(tasks[i].dones, 1);
    }
    work_free(work);
}

static void done_may_submit_again(void)
{
    struct work *work = work_new(loop, 2);
    struct task tasks[JOBS];

    for (int i = 0; i < JOBS; i++) {
        tasks[i] = make_task();
        tasks[i].work = work;
        tasks[i].next = i + 1 < JOBS ? &tasks[i + 1] : NULL;
    }
    work_submit(work, &tasks[0].job);
    ev_run(loop, 0);
    CHECK_INT(tasks[JOBS - 1].dones, 1);
    work_free(work);
}

static void runs_as_many_at_once_as_it_has_threads(void)
{
    enum { THREADS = 3 };
    struct work *work = work_new(loop, THREADS);
    struct task tasks[THREADS + 1];
    struct gate gate;

    gate_init(&gate);
    for (int i = 0; i <= THREADS; i++) {
        tasks[i] = make_task();
        tasks[i].gate = &gate;
        work_submit(work, &tasks[i].job);
    }
    gate_wait_for(&gate, THREADS);
    CHECK_INT(gate.inside, THREADS);
    gate_open(&gate);
    ev_run(loop, 0);
    CHECK_INT(gate.inside, THREADS + 1);
    work_free(work);
    gate_clear(&gate);
}

static void cancels_what_has_not_started(void)
{
    struct work *work = work_new(loop, 1);
    struct task first = make_task(), second = make_task(), third = make_task();
    struct gate gate;

    gate_init(&gate);
    first.gate = &gate;
    work_submit(work, &first.job);
    gate_wait_for(&gate, 1);
    work_submit(work, &second.job);
    work_submit(work, &third.job);
    CHECK(work_cancel(work, &second.job));
    CHECK(!work_cancel(work, &second.job));
    CHECK(!work_cancel(work, &first.job));
    CHECK_INT(second.dones, 0);
    CHECK_INT(work_out(work), 3);
    gate_open(&gate);
    ev_run(loop, 0);
    CHECK_INT(first.dones, 1);
    CHECK(!first.job.cancelled);
    CHECK_INT(second.runs, 0);
    CHECK_INT(second.dones, 1);
    CHECK(second.job.cancelled);
    CHECK_INT(third.runs, 1);
    work_free(work);
    gate_clear(&gate);
}

static void each_job_either_runs_or_is_cancelled(void)
{
    struct work *work = work_new(loop, 4);
    struct task tasks[JOBS];
    bool taken[JOBS] = {false};

    for (int i = 0; i < JOBS; i++) {
        tasks[i] = make_task();
        work_submit(work, &tasks[i].job);
        if (i % 3 == 2)
            taken[i - 1] = work_cancel(work, &tasks[i - 1].job);
        if (i % 50 == 49)
            ev_run(loop, EVRUN_NOWAIT);
    }
    ev_run(loop, 0);
    for (int i = 0; i < JOBS; i++) {
        CHECK_INT(tasks[i].dones, 1);
        CHECK_INT(tasks[i].runs, taken[i] ? 0 : 1);
        CHECK_INT(tasks[i].job.cancelled, taken[i]);
    }
    work_free(work);
}

static void a_job_may_be_used_again(void)
{
    struct work *work = work_new(loop, 1);
    struct task first = make_task(), again = make_task();
    struct gate gate;

    gate_init(&gate);
    first.gate = &gate;
    work_submit(work, &first.job);
    work_submit(work, &again.job);
    CHECK(work_cancel(work, &again.job));
    gate_open(&gate);
    ev_run(loop, 0);
    work_submit(work, &again.job);
    ev_run(loop, 0);
    CHECK(!again.job.cancelled);
    CHECK_INT(again.runs, 1);
    CHECK_INT(again.dones, 2);
    work_free(work);
    gate_clear(&gate);
}

static void *open_soon(void *arg)
{
    usleep(20000); /* work_free may or may not wait already: both must work */
    gate_open(arg);
    return NULL;
}

static void free_waits_for_running_and_cancels_the_rest(void)
{
    struct work *work = work_new(loop, 1);
    struct task first = make_task(), second = make_task(), late = make_task();
    struct gate gate;
    pthread_t opener;

    gate_init(&gate);
    first.gate = &gate;
    second.work = work;
    second.next = &late;
    work_submit(work, &first.job);
    gate_wait_for(&gate, 1);
    work_submit(work, &second.job);
    pthread_create(&opener, NULL, open_soon, &gate);
    work_free(work);
    pthread_join(opener, NULL);
    CHECK_INT(first.runs, 1);
    CHECK_INT(first.dones, 1);
    CHECK_INT(second.runs, 0);
    CHECK(second.dones == 1 && second.job.cancelled);
    CHECK(late.dones == 1 && late.job.cancelled);
    CHECK_INT(ev_run(loop, 0), 0);
    gate_clear(&gate);
}

static void takes_a_wrong_number_of_threads(void)
{
    struct work *work = work_new(loop, 0);
    struct task task = make_task();

    work_submit(work, &task.job);
    ev_run(loop, 0);
    CHECK_INT(task.dones, 1);
    work_free(work);
    work_free(work_new(loop, 1000000));
}

#if defined(__has_feature)
#define SANITIZED                                                              \
    (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct poster {
    struct task task;
    struct task posted[3];
};

static void run_and_post(struct job *job)
{
    struct poster *poster = LIST_ITEM(job, struct poster, task.job);

    for (int i = 0; i < 3; i++)
        work_post(poster->task.work, &poster->posted[i].job);
    gate_pass(poster->task.gate);
}

static void tells_what_is_posted_before_its_job_ends(void)
{
    struct work *work = work_new(loop, 1);
    struct poster poster = {.task = make_task()};
    struct gate gate;

    gate_init(&gate);
    poster.task.job.run = run_and_post;
    poster.task.gate = &gate;
    poster.task.work = work;
    for (int i = 0; i < 3; i++)
        poster.posted[i] = make_task();
    work_submit(work, &poster.task.job);
    gate_wait_for(&gate, 1);
    CHECK_INT(work_out(work), 1);
    ev_run(loop, EVRUN_ONCE);
    for (int i = 0; i < 3; i++)
        CHECK_INT(poster.posted[i].dones, 1);
    CHECK_INT(poster.task.dones, 0);
    gate_open(&gate);
    ev_run(loop, 0);
    CHECK_INT(poster.task.dones, 1);
    CHECK_INT(poster.posted[2].runs, 0);
    CHECK_INT(work_out(work), 0);
    work_free(work);
    gate_clear(&gate);
}

static void tells_what_is_posted_also_at_the_end(void)
{
    struct work *work = work_new(loop, 1);
    struct poster poster = {.task = make_task()};
    struct gate gate;

    gate_init(&gate);
    gate_open(&gate);
    poster.task.job.run = run_and_post;
    poster.task.gate = &gate;
    poster.task.work = work;
    for (int i = 0; i < 3; i++)
        poster.posted[i] = make_task();
    work_submit(work, &poster.task.job);
    gate_wait_for(&gate, 1);
    work_free(work);
    CHECK_INT(poster.posted[2].dones, 1);
    CHECK_INT(poster.task.dones, 1);
    gate_clear(&gate);
}

/* Root is not held by RLIMIT_NPROC, so the want of address space must do; the
 * sanitizers need theirs. */
static void runs_jobs_without_any_thread(void)
{
#if !SANITIZED
    struct rlimit old, none = {0, 0};
    struct work *work = work_new(loop, 2);
    struct task task = make_task();

    getrlimit(RLIMIT_AS, &old);
    none.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_AS, &none);
    work_submit(work, &task.job);
    setrlimit(RLIMIT_AS, &old);
    CHECK_INT(task.dones, 0);
    ev_run(loop, 0);
    CHECK_INT(task.runs, 1);
    CHECK_INT(task.dones, 1);
    work_free(work);
#endif
}

int main(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    RUN(runs_jobs_without_any_thread);
    RUN(runs_jobs_on_a_thread_and_done_on_the_loop);
    RUN(does_not_keep_the_loop_without_jobs);
    RUN(takes_jobs_that_are_done);
    RUN(runs_many_jobs);
    RUN(done_may_submit_again);
    RUN(runs_as_many_at_once_as_it_has_threads);
    RUN(cancels_what_has_not_started);
    RUN(each_job_either_runs_or_is_cancelled);
    RUN(a_job_may_be_used_again);
    RUN(free_waits_for_running_and_cancels_the_rest);
    RUN(takes_a_wrong_number_of_threads);
    RUN(tells_what_is_posted_before_its_job_ends);
    RUN(tells_what_is_posted_also_at_the_end);
    ev_loop_destroy(loop);
    return test_finish();
}
