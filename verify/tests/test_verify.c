/* verify must be able to fail: wrong conventions and small errors are planted in
 * copies of the goldens, and each must be noticed. */
#include "ref/error.h"
#include "verify/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPS "datasets/goldens/ops.h5"
#define PICO "datasets/goldens/pico.h5"
#define DCNV3 "dcnv3 n2h7w11g3c8k3x5s1x2p1x2d1x2o1.5"
#define DCNV2 "dcnv2 n2h7w10i4o6k3x5s1x2p1x2d1x2"

static char copy_path[256];

static void copy_of(const char *from)
{
    char command[1024];
    const char *temporary = getenv("TMPDIR");
    snprintf(copy_path, sizeof copy_path, "%s/internimage-%d.h5", temporary ? temporary : "/tmp",
             (int)getpid());
    snprintf(command, sizeof command, "cp '%s' '%s' && chmod u+w '%s'", from, copy_path, copy_path);
    assert_int_equal(system(command), 0);
}

/* Failing tensors of one case (NULL: the whole file). */
static int failures(const char *only)
{
    struct findings found = {0};
    struct error e = {0};
    struct golden_options o = {.only = only};
    int failed = 0;
    if (!golden_verify(copy_path, &o, &found, &e))
        fail_msg("%s", e.text);
    assert_true(found.count > 0);
    for (int i = 0; i < found.count; i++)
        failed += !found.item[i].pass;
    findings_free(&found);
    return failed;
}

/* Changes the values of one dataset of the copy in place. */
static void change(const char *dataset, void (*edit)(double *values, int64_t count))
{
    hid_t f = H5Fopen(copy_path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(f, dataset, H5P_DEFAULT), space = H5Dget_space(set);
    int64_t count = H5Sget_simple_extent_npoints(space);
    double *values = malloc((size_t)count * sizeof *values);
    assert_true(set >= 0 && values);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    edit(values, count);
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    free(values);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(f);
}

static void change_attr(const char *group, const char *name, hid_t type, const void *value)
{
    hid_t f = H5Fopen(copy_path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    assert_true(H5Adelete_by_name(f, group, name, H5P_DEFAULT) >= 0);
    hid_t a = H5Acreate_by_name(f, group, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                                H5P_DEFAULT);
    assert_true(a >= 0 && H5Awrite(a, type, value) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Fclose(f);
}

/* --- edits ------------------------------------------------------------------- */

static void swap_pairs(double *v, int64_t count)
{
    for (int64_t i = 0; i + 1 < count; i += 2) {
        double x = v[i];
        v[i] = v[i + 1];
        v[i + 1] = x;
    }
}

/* Points of a 3x5 window from columns first to rows first. */
static void transpose_taps(double *v, int64_t count, int per_point)
{
    double row[30];
    for (int64_t set = 0; set + 15 * per_point <= count; set += 15 * per_point) {
        memcpy(row, v + set, (size_t)(15 * per_point) * sizeof *row);
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 3; j++)
                memcpy(v + set + (j * 5 + i) * per_point, row + (i * 3 + j) * per_point,
                       (size_t)per_point * sizeof *v);
    }
}

static void transpose_offsets(double *v, int64_t count) { transpose_taps(v, count, 2); }
static void transpose_mask(double *v, int64_t count) { transpose_taps(v, count, 1); }

static void unmasked(double *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        v[i] = 1.0 / 15;
}

static void one_element(double *v, int64_t count) { v[count / 2] *= 1 + 1e-3; }
static void all_slightly(double *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        v[i] *= 1 + 3e-6;
}
static void in_double(double *v, int64_t count) { v[count / 2] += 1e-9; }
static void not_a_number(double *v, int64_t count) { v[count / 2] = 0.0 / 0.0; }

/* --- tests -------------------------------------------------------------------- */

static void unchanged_passes(void **state)
{
    (void)state;
    copy_of(OPS);
    assert_int_equal(failures(NULL), 0);
}

static void wrong_conventions_are_noticed(void **state)
{
    static const struct { const char *op, *dataset; void (*edit)(double *, int64_t); } plant[] = {
        {DCNV3, DCNV3 "/in/offset", swap_pairs}, {DCNV3, DCNV3 "/in/offset", transpose_offsets},
        {DCNV3, DCNV3 "/in/mask", transpose_mask}, {DCNV3, DCNV3 "/in/mask", unmasked},
        {DCNV2, DCNV2 "/param/weight", transpose_mask}, {DCNV2, DCNV2 "/in/mask", unmasked},
    };
    (void)state;
    for (size_t i = 0; i < sizeof plant / sizeof *plant; i++) {
        copy_of(OPS);
        change(plant[i].dataset, plant[i].edit);
        assert_true(failures(plant[i].op) > 0);
    }
}

static void wrong_attributes_are_noticed(void **state)
{
    const double scale = 1;
    const int64_t removed = 7;
    (void)state;
    copy_of(OPS);
    change_attr(DCNV3, "offset_scale", H5T_NATIVE_DOUBLE, &scale);
    assert_true(failures(DCNV3) > 0);
    copy_of(PICO);                      /* other parameters: another network */
    change_attr("/", "seed", H5T_NATIVE_INT64, &removed);
    assert_true(failures(NULL) > 100);
}

static void small_errors_are_noticed(void **state)
{
    static const struct { const char *op, *dataset; void (*edit)(double *, int64_t); } plant[] = {
        {DCNV3, DCNV3 "/float32/output", one_element}, {DCNV3, DCNV3 "/float32/output", all_slightly},
        {DCNV3, DCNV3 "/float64/output", in_double}, {DCNV3, DCNV3 "/float32/output", not_a_number},
        {DCNV3, DCNV3 "/float64/grad/offset", in_double},
        {DCNV2, DCNV2 "/float32/grad/weight", all_slightly},
    };
    (void)state;
    for (size_t i = 0; i < sizeof plant / sizeof *plant; i++) {
        copy_of(OPS);
        change(plant[i].dataset, plant[i].edit);
        assert_int_equal(failures(plant[i].op), 1);
    }
}

/* In a model exactly the tensor that was changed. */
static void the_changed_layer_is_named(void **state)
{
    static const char *dataset[] = {
        "float64/levels.2.blocks.1.dcn.core", "float32/levels.0.blocks.0.norm1.0",
        "float64/grad/levels.1.blocks.0.dcn.offset.weight", "float32/patch_embed.conv1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof dataset / sizeof *dataset; i++) {
        copy_of(PICO);
        change(dataset[i], strstr(dataset[i], "float64") ? in_double : one_element);
        change(dataset[i], strstr(dataset[i], "float64") ? in_double : not_a_number);
        assert_int_equal(failures(NULL), 1);
    }
}

static int teardown(void **state)
{
    (void)state;
    return remove(copy_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unchanged_passes), cmocka_unit_test(wrong_conventions_are_noticed),
        cmocka_unit_test(wrong_attributes_are_noticed), cmocka_unit_test(small_errors_are_noticed),
        cmocka_unit_test(the_changed_layer_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
