/* Whatever happens to the child, the parent gets EXIT_BAD_FILE and a sentence. */
#include "datasets/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int crash(void *context, struct error *e)
{
    (void)e;
    raise(*(int *)context);
    return EXIT_MATCH;
}

static int leave(void *context, struct error *e)
{
    (void)context, (void)e;
    _exit(0);
}

static int spin(void *context, struct error *e)
{
    (void)context, (void)e;
    for (volatile unsigned i = 0;; i++)
        ;
    return EXIT_MATCH;
}

static int take_memory(void *context, struct error *e)
{
    (void)context;
    char *p = malloc((size_t)1 << 30);
    if (!p)
        (fail)(e, EXIT_BAD_FILE, "no memory");
    free(p);
    return p ? EXIT_MATCH : EXIT_BAD_FILE;
}

static int mismatch(void *context, struct error *e)
{
    (void)e;
    *(int *)context = 7;                /* stays in the child */
    return EXIT_MISMATCH;
}

static int refuse(void *context, struct error *e)
{
    (void)context;
    (fail)(e, EXIT_INCONCLUSIVE, "nothing to compare in x.h5");
    return EXIT_INCONCLUSIVE;
}

static void must_be_blamed(int (*work)(void *, struct error *), void *context,
                           struct child_limits limits, const char *why)
{
    struct error e = {0};
    assert_int_equal(sandbox_run(work, context, &limits, "x.h5", &e), EXIT_BAD_FILE);
    assert_int_equal(e.code, EXIT_BAD_FILE);
    if (strncmp(e.text, "x.h5: damaged: ", 15) || !strstr(e.text, why))
        fail_msg("'%s' does not say '%s'", e.text, why);
    print_message("  %s\n", e.text);
}

static void crashes(void **state)
{
    (void)state;
    must_be_blamed(crash, &(int){SIGSEGV}, sandbox_usual, "killed by signal 11");
    must_be_blamed(crash, &(int){SIGABRT}, sandbox_usual, "killed by signal 6");
    must_be_blamed(crash, &(int){SIGFPE}, sandbox_usual, "killed by signal 8");
    must_be_blamed(crash, &(int){SIGKILL}, sandbox_usual, "killed by signal 9");
    must_be_blamed(leave, NULL, sandbox_usual, "ended with exit code 0");
    must_be_blamed(spin, NULL, (struct child_limits){.cpu_seconds = 1}, "within 1 s of CPU");
}

static void memory_limit(void **state)
{
    struct error e = {0};
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();                             /* which reserves more than any limit */
#endif
    const struct child_limits little = {.memory = (int64_t)1 << 29}, much = {0};
    assert_int_equal(sandbox_run(take_memory, NULL, &little, "x.h5", &e), EXIT_BAD_FILE);
    e.text[0] = 0;
    assert_int_equal(sandbox_run(take_memory, NULL, &much, "x.h5", &e), EXIT_MATCH);
}

static void answers(void **state)
{
    struct error e = {0};
    int value = 1;
    (void)state;
    assert_int_equal(sandbox_run(mismatch, &value, &sandbox_usual, "x.h5", &e), EXIT_MISMATCH);
    assert_true(value == 1 && !e.text[0]);
    assert_int_equal(sandbox_run(refuse, NULL, &sandbox_usual, "x.h5", &e), EXIT_INCONCLUSIVE);
    assert_int_equal(e.code, EXIT_INCONCLUSIVE);
    assert_string_equal(e.text, "nothing to compare in x.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes), cmocka_unit_test(memory_limit), cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
