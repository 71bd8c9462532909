/* `internimage ablate` end to end on images made here: runs, resuming after a kill, two
 * processes on one file, the table; and the statistics it reads differences by. */
#include "ref/weights.h"
#include "verify/commands.h"
#include "verify/train/ablate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 16 };

static char directory[256], runs_path[300];

/* An idx file (datasets/fashion_mnist.c), not compressed: zlib reads both. */
static void write_idx(const char *name, int rank, int count, const unsigned char *bytes)
{
    char path[400];
    unsigned char head[16] = {0, 0, 8, (unsigned char)rank, 0, 0, (unsigned char)(count >> 8),
                              (unsigned char)count, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    snprintf(path, sizeof path, "%s/%s.gz", directory, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(head, 1, rank == 3 ? 16 : 8, f);
    fwrite(bytes, 1, (size_t)count * (rank == 3 ? SIDE * SIDE : 1), f);
    assert_int_equal(fclose(f), 0);
}

/* Noise with a bright row: the class is which one. */
static void write_half(const char *half, int count)
{
    unsigned char *pixel = malloc((size_t)count * SIDE * SIDE), *label = malloc((size_t)count);
    char name[64];
    for (int i = 0; i < count; i++) {
        label[i] = (unsigned char)(seeded_hash(half, (uint64_t)i, 1) % 10);
        for (int k = 0; k < SIDE * SIDE; k++)
            pixel[i * SIDE * SIDE + k] = k / SIDE == label[i] + 3
                ? 255 : (unsigned char)(seeded_hash(half, (uint64_t)(i * SIDE * SIDE + k), 2) % 64);
    }
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", half);
    write_idx(name, 3, count, pixel);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", half);
    write_idx(name, 1, count, label);
    free(pixel);
    free(label);
}

static int make_data(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/internimage-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(directory))
        return -1;
    snprintf(runs_path, sizeof runs_path, "%s/runs.jsonl", directory);
    write_half("train", 128);
    write_half("t10k", 64);
    return 0;
}

static int remove_data(void **state)
{
    char command[400];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command);
}

/* "ablate" with the CI budget on the two ablations; `more` may be NULL. */
static int ablate(const char *more, struct error *e)
{
    char *argv[] = {"--data", "fashion-mnist", "--data-dir", directory, "--budget", "ci", "--out",
                    runs_path, "base", "conv", (char *)(uintptr_t)more};
    *e = (struct error){0};
    const int code = cmd_ablate(more ? 11 : 10, argv, e);
    if (e->code == EXIT_NOT_BUILT)
        skip();                     /* no oneDNN: nothing trains */
    return e->text[0] ? (int)e->code : code;
}

static struct ablate_runs read_runs(int expected)
{
    struct ablate_runs runs;
    assert_true(ablate_read(runs_path, &runs, NULL));
    assert_int_equal(runs.count, expected);
    return runs;
}

/* Cuts the last line inside of its accuracy, after the first digit. */
static void cut_last_line(void)
{
    static char text[1 << 14];
    const char key[] = "\"accuracy\": 0.", *last = NULL;
    FILE *f = fopen(runs_path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    for (const char *at = text; (at = strstr(at, key)); at++)
        last = at;
    assert_non_null(last);
    assert_int_equal(truncate(runs_path, last - text + (long)sizeof key), 0);
}

/* A run killed while it wrote its line is repeated, and gives the same numbers. */
static void runs_resume(void **state)
{
    struct error e;
    (void)state;
    assert_int_equal(ablate(NULL, &e), EXIT_MATCH);
    struct ablate_runs first = read_runs(4);
    assert_string_equal(first.run[1].name, "conv");
    assert_int_equal(first.run[0].epochs, 1);
    assert_true(first.run[0].curve[0] == first.run[0].accuracy);
    assert_true(first.run[0].loss > 0 && first.run[0].loss < 4);
    assert_true(first.run[0].parameters != first.run[1].parameters);
    assert_true(first.run[0].loss != first.run[2].loss);        /* another seed */

    cut_last_line();
    struct ablate_runs cut = read_runs(3);
    assert_int_equal(ablate(NULL, &e), EXIT_MATCH);
    struct ablate_runs again = read_runs(4);
    assert_true(again.run[3].loss == first.run[3].loss);
    assert_true(again.run[3].accuracy == first.run[3].accuracy);
    assert_int_equal(ablate(NULL, &e), EXIT_MATCH);              /* nothing left to do */
    ablate_runs_free(&cut);
    cut = read_runs(4);
    ablate_runs_free(&first);
    ablate_runs_free(&cut);
    ablate_runs_free(&again);
}

static void parts_share_the_grid(void **state)
{
    struct error e;
    (void)state;
    unlink(runs_path);
    assert_int_equal(ablate("--part=2/2", &e), EXIT_MATCH);
    struct ablate_runs half = read_runs(2);
    assert_string_equal(half.run[0].name, "conv");
    assert_int_equal(ablate("--part=1/2", &e), EXIT_MATCH);
    struct ablate_runs whole = read_runs(4);
    ablate_runs_free(&half);
    ablate_runs_free(&whole);
}

static void other_plans_and_nonsense_are_refused(void **state)
{
    struct error e;
    (void)state;
    assert_int_equal(ablate("--epochs=2", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "give another --out"));
    assert_int_equal(ablate("--part=3/2", &e), EXIT_USAGE);
    assert_int_equal(ablate("--budget=huge", &e), EXIT_USAGE);
    assert_int_equal(ablate("--lr=-1", &e), EXIT_USAGE);
    assert_int_equal(ablate("unshard", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "no ablation"));
}

/* --- the table ------------------------------------------------------------------------- */

static struct ablate_run a_run(const char *name, uint64_t seed, double accuracy)
{
    struct ablate_run r = {.plan = "plan", .seed = seed, .parameters = 1000, .mmacs = 1,
                           .step_ms = 2, .accuracy = accuracy, .loss = 1, .seconds = 1,
                           .diverged = isnan(accuracy)};
    snprintf(r.name, sizeof r.name, "%s", name);
    return r;
}

static char *table_text(const char *what, const struct ablate_runs *runs)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    (strcmp(what, "plot") ? ablate_table : ablate_plot_data)(runs, to);
    fclose(to);
    return text;
}

/* scipy.stats.t.ppf(0.975, 2) / sqrt(3) = 2.4841 */
static void intervals_are_students(void **state)
{
    (void)state;
    assert_true(fabs(half_width(1, 3) - 2.4841) < 0.003);
    assert_true(isinf(half_width(1, 1)));
    assert_true(half_width(0, 3) == 0);
}

static void the_table_reads_differences(void **state)
{
    (void)state;
    struct ablate_run list[] = {
        a_run("base", 1, 0.80), a_run("base", 2, 0.81), a_run("base", 3, 0.82),
        a_run("sigmoid", 1, 0.60), a_run("sigmoid", 2, 0.61), a_run("sigmoid", 3, 0.62),
        a_run("unshared", 1, 0.805), a_run("unshared", 2, 0.815), a_run("unshared", 3, 0.81),
        a_run("linear", 1, NAN), a_run("linear", 2, 0.5), a_run("conv", 4, 0.9),
    };
    const struct ablate_runs runs = {list, sizeof list / sizeof *list};
    char *text = table_text("table", &runs), *plot = table_text("plot", &runs);
    const char *sigmoid = strstr(text, "\nsigmoid"), *unshared = strstr(text, "\nunshared");
    const char *conv = strstr(text, "\nconv"), *linear = strstr(text, "\nlinear");
    assert_true(sigmoid && unshared && conv && linear);
    assert_null(memchr(conv + 1, '+', (size_t)(strchr(conv + 1, '\n') - conv)));  /* no base */
    assert_true(strstr(linear, "one seed") < strchr(linear + 1, '\n'));
    assert_non_null(strstr(sigmoid, "-20.00"));
    assert_non_null(strstr(sigmoid, "worse"));
    assert_true(strstr(unshared, "cannot tell") < strchr(unshared + 1, '\n'));
    assert_non_null(strstr(text, "1 (+1 diverged)"));
    assert_non_null(strstr(plot, "base base 81.000 80.000 82.000"));
    free(text);
    free(plot);
}

/* What is appended is what is read, a diverged run included. */
static void lines_keep_everything(void **state)
{
    (void)state;
    struct ablate_run one = a_run("conv", 3, 0.5), two = a_run("base", 1, NAN);
    unlink(runs_path);
    ablate_curve(&one, "{\"event\": \"start\", \"test_accuracy\": 9}\n"
                       "{\"event\": \"epoch\", \"test_accuracy\": 0.25}\n"
                       "{\"event\": \"epoch\", \"test_accuracy\": 0.5}\n");
    assert_true(ablate_append(runs_path, &one, NULL) && ablate_append(runs_path, &two, NULL));
    struct ablate_runs runs = read_runs(2);
    assert_int_equal(runs.run[0].epochs, 2);
    assert_true(runs.run[0].curve[0] == 0.25 && runs.run[0].curve[1] == 0.5);
    assert_string_equal(runs.run[0].plan, "plan");
    assert_true(runs.run[0].accuracy == 0.5 && !runs.run[0].diverged && runs.run[1].diverged);
    assert_true(ablate_has(&runs, "conv", 3) && !ablate_has(&runs, "conv", 1));
    ablate_runs_free(&runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_resume), cmocka_unit_test(parts_share_the_grid),
        cmocka_unit_test(other_plans_and_nonsense_are_refused),
        cmocka_unit_test(intervals_are_students), cmocka_unit_test(the_table_reads_differences),
        cmocka_unit_test(lines_keep_everything),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
