/* Tensors out of files: what numpy, h5py and safetensors wrote (verify/tests/files/) is
 * read back to the last bit, whole and in pieces; 16-bit floats; the npz writer. */
#include "datasets/half.h"
#include "datasets/npz.h"
#include "datasets/tensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES "verify/tests/files/"

static const char *in_temporary(const char *name)
{
    static char path[512];
    const char *temporary = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/internimage-%d-%s", temporary ? temporary : "/tmp",
             (int)getpid(), name);
    return path;
}

static struct tensor_file *open_file(const char *path)
{
    struct error e = {0};
    struct tensor_file *f = tensors_open(path, &e);
    if (!f)
        fail_msg("%s", e.text);
    return f;
}

/* The rule of verify/tests/files/make.py. */
static double expected(const struct tensor_info *t, int64_t i)
{
    double x = (double)(i * 7 % 23 - 11);
    bool plain = t->type != TENSOR_U64 && t->type != TENSOR_U32 && t->type != TENSOR_U16
              && t->type != TENSOR_U8;
    if (!strcmp(t->name, "levels.0.w") && i < 2)
        return i ? -INFINITY : NAN;
    return t->type == TENSOR_BOOL ? x != 0 : plain ? x : fabs(x);
}

static void check_values(const struct tensor_info *t, int64_t first, int64_t count, const double *x)
{
    for (int64_t i = 0; i < count; i++) {
        double want = expected(t, first + i);
        if (isnan(want) ? !isnan(x[i]) : x[i] != want)
            fail_msg("%s[%lld] is %g, not %g", t->name, (long long)(first + i), x[i], want);
    }
}

/* Whole, then in pieces of every length up to 17 from front to back, as floats from back
 * to front. */
static void check_tensor(struct tensor_file *f, int index)
{
    const struct tensor_info *t = tensors_info(f, index);
    double x[2048], wide;
    float narrow;
    struct error e = {0};
    assert_true(t->count <= 2048);
    assert_true(tensors_read_f64(f, index, 0, t->count, x, &e));
    check_values(t, 0, t->count, x);
    for (int64_t step = 1; step < 18; step++)
        for (int64_t at = 0; at < t->count; at += step) {
            int64_t n = at + step < t->count ? step : t->count - at;
            assert_true(tensors_read_f64(f, index, at, n, x, &e));
            check_values(t, at, n, x);
        }
    for (int64_t at = t->count - 1; at >= 0; at -= 1 + t->count / 50) {
        assert_true(tensors_read_f32(f, index, at, 1, &narrow, &e));
        wide = narrow;
        check_values(t, at, 1, &wide);
    }
    assert_false(tensors_read_f64(f, index, 0, t->count + 1, x, &e));
    assert_int_equal(e.code, EXIT_USAGE);
}

static void check_file(const char *name, const char *format, int count)
{
    struct tensor_file *f = open_file(name);
    assert_string_equal(tensors_format(f), format);
    assert_int_equal(tensors_count(f), count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(tensors_find(f, tensors_info(f, i)->name), i);
        check_tensor(f, i);
    }
    assert_int_equal(tensors_find(f, "nothing"), -1);
    for (int k = TENSOR_F64; count > 1 && k <= TENSOR_BOOL; k++) {      /* each type is there */
        char kind[64];
        snprintf(kind, sizeof kind, "kind.%s", tensor_type_name((enum tensor_type)k));
        int index = tensors_find(f, kind);
        if (index < 0 && k == TENSOR_BF16)
            continue;                   /* h5py has no bfloat16 */
        assert_true(index >= 0);
        const struct tensor_info *t = tensors_info(f, index);
        assert_int_equal(t->type, k);
        assert_int_equal(t->rank, 3);
        assert_true(t->dim[0] == 2 && t->dim[1] == 3 && t->dim[2] == 4 && t->count == 24);
    }
    tensors_close(f);
}

static void numpy_files(void **state)
{
    (void)state;
    check_file(FILES "stored.npz", "npz", 18);
    check_file(FILES "deflated.npz", "npz", 18);
    check_file(FILES "columns.npy", "npy", 1);
    check_file(FILES "version3.npy", "npy", 1);
}

static void safetensors_file(void **state)
{
    (void)state;
    check_file(FILES "tensors.safetensors", "safetensors", 16);
}

static void h5_file(void **state)
{
    (void)state;
    check_file(FILES "tensors.h5", "HDF5", 17);
    struct tensor_file *f = open_file(FILES "tensors.h5");
    int empty = tensors_find(f, "empty"), scalar = tensors_find(f, "scalar");
    assert_true(empty >= 0 && tensors_info(f, empty)->count == 0);
    assert_true(scalar >= 0 && tensors_info(f, scalar)->rank == 0);
    tensors_close(f);
}

/* Every 16-bit pattern survives the way through double; a value between two goes to the
 * nearer, in the middle to the even one. */
static void half_precision(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        float half = half_to_float(h), brain = bfloat16_to_float(h);
        if (isnan(half))
            assert_true(isnan(half_to_float(half_from_double(half))));
        else
            assert_int_equal(half_from_double(half), h);
        if (isnan(brain))
            assert_true(isnan(bfloat16_to_float(bfloat16_from_double(brain))));
        else
            assert_int_equal(bfloat16_from_double(brain), h);
    }
    for (unsigned i = 0; i < 0x7BFF; i++) {
        double a = half_to_float((uint16_t)i), b = half_to_float((uint16_t)(i + 1));
        assert_int_equal(half_from_double((a + b) / 2), i + (i & 1));
        assert_int_equal(half_from_double(nextafter((a + b) / 2, 1e9)), i + 1);
        assert_int_equal(half_from_double(-nextafter((a + b) / 2, -1)), 0x8000 + i);
    }
    for (unsigned i = 0; i < 0x7F7F; i++) {
        double a = bfloat16_to_float((uint16_t)i), b = bfloat16_to_float((uint16_t)(i + 1));
        assert_int_equal(bfloat16_from_double((a + b) / 2), i + (i & 1));
        assert_int_equal(bfloat16_from_double(nextafter((a + b) / 2, 1e300)), i + 1);
    }
    assert_true(half_to_float(0x7BFF) == 65504 && half_to_float(1) == 0x1p-24f);
    assert_int_equal(half_from_double(65519.999), 0x7BFF);
    assert_int_equal(half_from_double(65520), 0x7C00);
    assert_int_equal(half_from_double(-1e300), 0xFC00);
    assert_int_equal(half_from_double(0x1p-25), 0);
    assert_int_equal(half_from_double(5e-324), 0);
    assert_int_equal(bfloat16_from_double(3.4e38), 0x7F80);
    assert_int_equal(bfloat16_from_double(1.0 + 0x1p-8 + 0x1p-40), 0x3F81);    /* rounds once */
}

static void npz_written(void **state)
{
    const char *path = in_temporary("written.npz");
    const int64_t dim[] = {3, 4, 5, 1, 1, 1, 1, 2}, none[] = {0, 7};
    float x[120], back[120];
    double y[120], back64[120];
    struct error e = {0};
    (void)state;
    for (int i = 0; i < 120; i++)
        y[i] = sin(i), x[i] = (float)y[i];
    struct npz_file *z = npz_create(path, &e);
    assert_non_null(z);
    assert_true(access(path, F_OK) != 0);               /* not before it is complete */
    assert_true(npz_write_f32(z, "levels.0.a", 8, dim, x, &e));
    assert_true(npz_write_f64(z, "b", 3, dim, y, &e));
    assert_true(npz_write_f64(z, "row", 1, dim + 2, y, &e));
    assert_true(npz_write_f32(z, "scalar", 0, NULL, x + 1, &e));
    assert_true(npz_write_f32(z, "empty", 2, none, x, &e));
    assert_true(npz_close(z, &e));
    struct tensor_file *f = open_file(path);
    assert_int_equal(tensors_count(f), 5);
    assert_true(tensors_read_f32(f, tensors_find(f, "levels.0.a"), 0, 120, back, &e));
    assert_memory_equal(back, x, sizeof x);
    assert_true(tensors_read_f64(f, tensors_find(f, "b"), 0, 60, back64, &e));
    assert_memory_equal(back64, y, 60 * sizeof *y);
    assert_true(tensors_read_f32(f, tensors_find(f, "scalar"), 0, 1, back, &e));
    assert_true(back[0] == x[1]);
    assert_true(tensors_info(f, tensors_find(f, "row"))->dim[0] == 5);
    assert_true(tensors_info(f, tensors_find(f, "empty"))->dim[1] == 7);
    tensors_close(f);
    remove(path);
    assert_null(npz_create("/nowhere/x.npz", &e));
    assert_int_equal(e.code, EXIT_BAD_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numpy_files), cmocka_unit_test(safetensors_file),
        cmocka_unit_test(h5_file), cmocka_unit_test(half_precision),
        cmocka_unit_test(npz_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
