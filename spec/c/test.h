/* The whole harness of the C specs. A spec is one program: functions that
 * CHECK, and a main that RUNs them and returns test_finish(). A test goes on
 * after a failed check, but only its first is told:
 *
 *     ok pool_keeps_blocks
 *     not ok pool_aligns: spec/c/pool_test.c:12: p != NULL */
#ifndef SPEC_C_TEST_H
#define SPEC_C_TEST_H

#include <stdbool.h>
#include <stdio.h>

#include "base/str.h"

static struct {
    const char *name;
    int failed; /* tests so far */
    bool told;  /* this test has failed */
} test_state;

static inline void test_fail(const char *file, int line)
{
    if (!test_state.told)
        printf("not ok %s: %s:%d: ", test_state.name, file, line);
    test_state.told = true;
}

static inline void test_check(bool held, const char *why, const char *file,
                              int line)
{
    if (held || test_state.told)
        return;
    test_fail(file, line);
    printf("%s\n", why);
}

static inline void test_check_int(long long got, long long wanted,
                                  const char *why, const char *file, int line)
{
    if (got == wanted || test_state.told)
        return;
    test_fail(file, line);
    printf("%s is %lld, not %lld\n", why, got, wanted);
}

static inline void test_check_str(struct str got, struct str wanted,
                                  const char *why, const char *file, int line)
{
    if (str_eq(got, wanted) || test_state.told)
        return;
    test_fail(file, line);
    printf("%s is \"%.*s\", not \"%.*s\"\n", why, (int)got.n,
           got.n ? got.p : "", (int)wanted.n, wanted.n ? wanted.p : "");
}

static inline void test_run(const char *name, void (*test)(void))
{
    test_state.name = name;
    test_state.told = false;
    test();
    if (test_state.told)
        test_state.failed++;
    else
        printf("ok %s\n", name);
    fflush(stdout);
}

/* The exit code of the program. */
static inline int test_finish(void)
{
    return test_state.failed > 0;
}

#define CHECK(condition) test_check(condition, #condition, __FILE__, __LINE__)

/* Two integers, the second of which is the one expected. */
#define CHECK_INT(got, wanted)                                                 \
    test_check_int((long long)(got), (long long)(wanted), #got, __FILE__,      \
                   __LINE__)

/* A struct str and the string literal that it should equal. */
#define CHECK_STR(got, wanted)                                                 \
    test_check_str(got, STR(wanted), #got, __FILE__, __LINE__)

#define RUN(test) test_run(#test, test)

#endif
