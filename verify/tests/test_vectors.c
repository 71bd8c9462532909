/* vectors: the same bytes every time, read back as written, and no mistake of the catalogue
 * passes - while a suite with a hole, or a wrong expectation, is told apart. */
#include "verify/port/vectors.h"
#include "verify/port/conventions.h"

#include "datasets/tensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE "dcnv3 n2h7w11g3c8k3x5s1x2p1x2d1x2o1.5"
#define DCNV2 "dcnv2 n2h7w10i4o6k3x5s1x2p1x2d1x2"

static char folder[256];

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

__attribute__((format(printf, 1, 0)))
static int run(const char *format, const char *a, const char *b)
{
    char command[2048];
    snprintf(command, sizeof command, format, a, b);
    return system(command);
}

static struct score scored(const char *path, bool quick, int *mutants, int *killed)
{
    struct score s;
    struct error e = {0};
    if (!vectors_score(path, quick, &s, &e))
        fail_msg("%s", e.text);
    score_total(&s, mutants, killed);
    return s;
}

static void the_same_bytes_every_time(void **state)
{
    struct error e = {0};
    (void)state;
    if (!vectors_write(in_folder("one"), NULL, &e) || !vectors_write(in_folder("two"), NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(run("diff -r '%s' '%s'", in_folder("one"), in_folder("two")), 0);
}

/* The point of it all: 100 %, every row of the catalogue on every op that it can befall. */
static void no_mistake_passes(void **state)
{
    int mutants, killed;
    struct score s = scored(in_folder("one"), true, &mutants, &killed);
    (void)state;
    for (int i = 0; i < s.rows; i++) {
        int noticed = 0;
        for (int k = 0; k < s.columns; k++)
            noticed += s.row[i].killed[k];
        if (!noticed)
            fail_msg("%s on %s passes: %s", s.row[i].code, s.row[i].op, s.row[i].title);
    }
    assert_int_equal(mutants, s.rows);
    assert_int_equal(killed, s.rows);
    assert_int_equal(s.false_alarms, 0);
    assert_true(s.first_gradient >= MISTAKES && s.rows == s.first_gradient + 22 && s.cases > 60);
    score_free(&s);
}

static bool survives(const struct score *s, const char *code)
{
    for (int i = 0; i < s->rows; i++)
        if (!strcmp(s->row[i].code, code) && s->row[i].applied[2])
            return s->row[i].killed[2] == 0;
    fail_msg("%s was not tried", code);
    return false;
}

/* Equal strides and pads, tiny inputs, a tolerance made for large ones. */
static void a_suite_with_holes_is_told_apart(void **state)
{
    int mutants, killed;
    struct error e = {0};
    (void)state;
    if (!vectors_recreate("internimage", in_folder("public"), &e))
        fail_msg("%s", e.text);
    struct score s = scored(in_folder("public"), false, &mutants, &killed);
    assert_true(mutants > 30 && killed < mutants && killed > 0);
    assert_true(survives(&s, "AS11") && survives(&s, "AS21") && survives(&s, "DT01"));
    assert_false(survives(&s, "XY01"));
    assert_int_equal(s.false_alarms, 0);
    score_free(&s);
}

static void a_wrong_expectation_is_an_alarm(void **state)
{
    int mutants, killed;
    double first = 0;
    hsize_t at[4] = {0}, one[4] = {1, 1, 1, 1};
    (void)state;
    hid_t f = H5Fopen(in_folder("public/internimage.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(f, "dcnv3 n2h8w8g4c16k3x3p1x1o2/float64/output", H5P_DEFAULT);
    hid_t file = H5Dget_space(set), memory = H5Screate_simple(4, one, NULL);
    assert_true(H5Sselect_hyperslab(file, H5S_SELECT_SET, at, NULL, one, NULL) >= 0);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, memory, file, H5P_DEFAULT, &first) >= 0);
    first += 0.01;
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, memory, file, H5P_DEFAULT, &first) >= 0);
    H5Sclose(memory), H5Sclose(file), H5Dclose(set), H5Fclose(f);
    struct score s = scored(in_folder("public"), true, &mutants, &killed);
    assert_int_equal(s.false_alarms, 1);
    assert_non_null(strstr(s.alarm, "dcnv3 n2h8w8g4c16k3x3p1x1o2"));
    score_free(&s);
}

static double *read_named(const char *path, const char *name, int64_t *count)
{
    struct error e = {0};
    struct tensor_file *f = tensors_open(path, &e);
    if (!f)
        fail_msg("%s", e.text);
    const int index = tensors_find(f, name);
    if (index < 0)
        fail_msg("%s has no %s", path, name);
    *count = tensors_info(f, index)->count;
    double *v = malloc((size_t)*count * sizeof *v);
    assert_true(v && tensors_read_f64(f, index, 0, *count, v, &e));
    tensors_close(f);
    return v;
}

static void both_formats_hold_the_same(void **state)
{
    static const char *const part[] = {"in", "float64", "float64.grad", "envelope", "param"};
    static const char *const name[] = {"offset", "output", "mask", "output", "weight"};
    (void)state;
    for (int i = 0; i < 5; i++) {
        char dotted[256];
        int64_t a, b;
        snprintf(dotted, sizeof dotted, "%s.%s.%s", i < 4 ? CASE : DCNV2, part[i], name[i]);
        double *x = read_named(in_folder("one/ops.npz"), dotted, &a);
        double *y = read_named(in_folder("one/ops.h5"), dotted, &b);
        assert_int_equal(a, b);
        assert_memory_equal(x, y, (size_t)a * sizeof *x);
        free(x);
        free(y);
    }
}

/* The judge takes them for golden files. */
static void verify_reads_them(void **state)
{
    struct findings found = {0};
    struct error e = {0};
    const struct golden_options o = {.filter = "n2h7w1", .isa = "generic"};
    (void)state;
    if (!golden_verify(in_folder("one/ops.h5"), &o, &found, &e))
        fail_msg("%s", e.text);
    assert_true(found.count >= 20);
    for (int k = 0; k < found.count; k++)
        if (!found.item[k].pass)
            fail_msg("%s %s", found.item[k].unit, found.item[k].tensor);
    findings_free(&found);
}

static void nonsense_is_refused(void **state)
{
    struct error e = {0};
    struct score s;
    (void)state;
    assert_false(vectors_recreate("mmcv", in_folder("x"), &e));
    assert_int_equal(e.code, EXIT_USAGE);
    e = (struct error){0};
    assert_false(vectors_score(in_folder("nothing"), true, &s, &e));
    assert_int_equal(e.code, EXIT_BAD_FILE);
    score_free(&s);
    e = (struct error){0};
    assert_false(vectors_write("/dev/null/x", NULL, &e));
    assert_int_equal(e.code, EXIT_USAGE);
}

static int make_folder(void **state)
{
    const char *temporary = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/internimage-vectors-XXXXXX",
             temporary ? temporary : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return run("rm -r '%s'%s", folder, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_every_time), cmocka_unit_test(no_mistake_passes),
        cmocka_unit_test(a_suite_with_holes_is_told_apart),
        cmocka_unit_test(a_wrong_expectation_is_an_alarm),
        cmocka_unit_test(both_formats_hold_the_same), cmocka_unit_test(verify_reads_them),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
