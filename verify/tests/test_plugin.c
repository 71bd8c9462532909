/* verify --plugin: a right plug-in passes, every planted mistake is found, whatever crashes
 * or is no plug-in ends in a sentence. */
#include "datasets/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASES "--filter 'dcnv3 n2h6w7'"

static char program[512], folder[512];
static char said[1 << 16];              /* stdout and stderr of the last run */

static int verify(const char *library, const char *options, const char *mistake)
{
    char command[2048];
    snprintf(command, sizeof command, "PLUGIN_MISTAKE='%s' %s verify --plugin %s %s 2>&1",
             mistake, program, library, options);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    said[fread(said, 1, sizeof said - 1, p)] = 0;
    int status = pclose(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *built(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/tests/%s", folder, name);
    return path;
}

static void must_say(int code, int expected, const char *text)
{
    if (code != expected || !strstr(said, text))
        fail_msg("exit code %d, expected %d and '%s':\n%s", code, expected, text, said);
}

static void the_right_one_passes(void **state)
{
    (void)state;
    must_say(verify(built("plugin_right.so"), "--filter 'dcnv3 n2'", ""), 0,
             " 0 failed, 0 SKIPPED");
    must_say(verify(built("plugin_right.so"), "--filter 'dcnv2 n2h6w'", ""), 0,
             "2 passed, 0 failed, 2 SKIPPED");
    must_say(verify(built("plugin_right.so"), "--filter h14w14g16", ""), 0, "2 passed");
    must_say(verify(built("plugin_right.so"), CASES " --json", ""), 0, "\"verdict\": \"PASS\"");
}

static void mistakes_are_found(void **state)
{
    static const struct { const char *mistake, *text; } plant[] = {
        {"", " 0 failed"}, {"pairs swapped", "FAIL dcnv3 n2h6w7g4c4k3x3p1x1rc forward, output"},
        {"slightly off", "FAIL"}, {"NaN", "NaN or Inf at value"},
        {"crash", "the plug-in was killed by signal 11 (Segmentation fault)"},
        {"exit", "the plug-in ended with exit code 0"},
        {"overrun", "wrote outside of output, behind the array"},
        {"underrun", "wrote outside of output, in front of the array"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof plant / sizeof *plant; i++) {
        must_say(verify(built("plugin_wrong.so"), CASES, plant[i].mistake), i > 0, plant[i].text);
        /* The gradient is right: a mistake does not spoil what comes after it. */
        assert_non_null(strstr(said, i ? "1 passed, 1 failed" : "2 passed"));
    }
}

static void a_line_says_how_to_repeat_it(void **state)
{
    (void)state;
    must_say(verify(built("plugin_wrong.so"), CASES, "pairs swapped"), 1,
             "--case 'dcnv3 n2h6w7g4c4k3x3p1x1rc'");
    must_say(verify(built("plugin_wrong.so"), "--case 'dcnv3 n2h6w7g4c4k3x3p1x1rc'",
                    "pairs swapped"), 1, "1 passed, 1 failed");
}

static void the_mistake_is_named(void **state)
{
    (void)state;
    must_say(verify(built("plugin_wrong.so"), CASES, "pairs swapped"), 1, "what it does: XY01, ");
    must_say(verify(built("plugin_wrong.so"), CASES, "slightly off"), 1,
             "no wrong convention of the catalogue reproduces");
}

static void what_was_not_run_is_not_a_pass(void **state)
{
    (void)state;
    must_say(verify(built("plugin_wrong.so"), "--filter 'no such case'", ""), 5,
             "nothing was run");
    must_say(verify(built("plugin_wrong.so"), CASES, "declines"), 0,
             "1 passed, 0 failed, 1 SKIPPED");
    must_say(verify(built("plugin_right.so"), "--goldens /dev/null", ""), 3, "/dev/null");
}

static void what_is_no_plugin_is_refused(void **state)
{
    char library[600];
    (void)state;
    must_say(verify("Makefile", CASES, ""), 3,
             "internimage verify: ./Makefile: cannot be loaded: invalid");
    must_say(verify("no/such.so", CASES, ""), 3, "no/such.so: cannot be loaded: cannot open");
    snprintf(library, sizeof library, "%s/libinternimage.so", folder);
    must_say(verify(library, CASES, ""), 3, "no plug-in, it does not export");
    must_say(verify(built("plugin_wrong.so"), CASES, "version"), 3, "version 2");
    must_say(verify(built("plugin_wrong.so"), CASES, "crash on load"), 3,
             "the process that loaded it was killed by signal 6");
}

/* --- child.h ---------------------------------------------------------------------- */

static void sleep_on(void *context)
{
    (void)context;
    for (;;)
        pause();
}

static void write_seven(void *context)
{
    *(int *)context = 7;
}

static void children_are_watched(void **state)
{
    char how[128];
    int *shared = child_memory(sizeof *shared), own = 0;
    const struct child_limits ten = {.seconds = 10}, one = {.seconds = 1};
    (void)state;
    assert_non_null(shared);
    assert_true(child_run(write_seven, shared, &ten, how, sizeof how) == CHILD_DONE);
    assert_true(child_run(write_seven, &own, &ten, how, sizeof how) == CHILD_DONE);
    assert_int_equal(*shared, 7);
    assert_int_equal(own, 0);
    assert_true(child_run(sleep_on, NULL, &one, how, sizeof how) == CHILD_DIED);
    assert_string_equal(how, "did not finish within 1 s");
    child_memory_free(shared, sizeof *shared);
}

int main(void)
{
    const char *from = getenv("INTERNIMAGE");
    snprintf(program, sizeof program, "%s", from ? from : "build/internimage");
    snprintf(folder, sizeof folder, "%s", program);
    if (strrchr(folder, '/'))
        *strrchr(folder, '/') = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_one_passes), cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(a_line_says_how_to_repeat_it),
        cmocka_unit_test(the_mistake_is_named),
        cmocka_unit_test(what_was_not_run_is_not_a_pass),
        cmocka_unit_test(what_is_no_plugin_is_refused), cmocka_unit_test(children_are_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
