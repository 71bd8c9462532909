/* What must hold for deformable convolution whatever PyTorch says. Double precision,
 * seeded data, equality to rounding. */
#include "ref/ref.h"
#include "ref/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, H = 7, W = 9, G = 3, C = 4, CH = G * C, KH = 3, KW = 5, P = KH * KW };

static struct dcnv3_shape shape(double offset_scale)
{
    struct dcnv3_shape s = {
        .batch = N, .height = H, .width = W, .groups = G, .group_channels = C,
        .y = {KH, 2, 1, 1}, .x = {KW, 1, 2, 2}, .offset_scale = offset_scale,
    };
    s.out_height = window_positions(H, s.y);
    s.out_width = window_positions(W, s.x);
    return s;
}

enum { IN = N * H * W * CH, MOST = N * H * W * G * P * 2 };

/* Everything one op call needs, filled from the seed. */
struct data {
    double in[IN], offset[MOST], mask[MOST], out[IN];
};

static void fill(double *v, const char *name, int count, double scale)
{
    for (int i = 0; i < count; i++)
        v[i] = scale * ((double)(seeded_hash(name, (uint64_t)i, 3) >> 11) * 0x1p-52 - 1);
}

static struct data *data_new(double reach)
{
    struct data *d = calloc(1, sizeof *d);
    assert_non_null(d);
    fill(d->in, "in", IN, 1);
    fill(d->offset, "offset", MOST, reach);
    fill(d->mask, "mask", MOST, 1);
    return d;
}

static int out_count(const struct dcnv3_shape *s)
{
    return N * s->out_height * s->out_width * CH;
}

static void assert_same(const double *a, const double *b, int count, double limit)
{
    double most = 0;
    for (int i = 0; i < count; i++)
        most = fmax(most, isfinite(a[i]) && isfinite(b[i]) ? fabs(a[i] - b[i]) : INFINITY);
    if (!(most <= limit))
        fail_msg("differ by %g", most);
}

static void run(const struct dcnv3_shape *s, struct data *d)
{
    ref64_dcnv3_forward(s, d->in, d->offset, d->mask, d->out);
}

static void linear_in_the_input(void **state)
{
    struct dcnv3_shape s = shape(1.5);
    struct data *a = data_new(3), *b = data_new(3), *sum = data_new(3);
    (void)state;
    fill(b->in, "other", IN, 2);
    for (int i = 0; i < IN; i++)
        sum->in[i] = 2 * a->in[i] - 3 * b->in[i];
    run(&s, a);
    run(&s, b);
    run(&s, sum);
    for (int i = 0; i < out_count(&s); i++)
        a->out[i] = 2 * a->out[i] - 3 * b->out[i];
    assert_same(a->out, sum->out, out_count(&s), 1e-13);
    free(a), free(b), free(sum);
}

/* DCNv3 is a depthwise DCNv2 with weights of one: taps reordered, pairs swapped, the
 * offset scale folded into the offsets about the window's centre. */
static void dcnv2_with_ones(void **state)
{
    struct dcnv3_shape s = shape(1.5);
    struct data *d = data_new(3), *v2 = data_new(3);
    const int ho = s.out_height, wo = s.out_width, cx = KW - 1, cy = (KH - 1) / 2;
    double ones[CH * P];
    (void)state;
    for (int i = 0; i < CH * P; i++)
        ones[i] = 1;
    ref64_transpose(N, H * W, CH, d->in, v2->in);
    for (int n = 0; n < N; n++)
        for (int q = 0; q < ho * wo; q++)
            for (int g = 0; g < G; g++)
                for (int i = 0; i < KW; i++)
                    for (int j = 0; j < KH; j++) {
                        int v3 = ((n * ho * wo + q) * G + g) * P + i * KH + j;
                        int tap = (n * G + g) * P + j * KW + i;
                        v2->mask[tap * ho * wo + q] = d->mask[v3];
                        v2->offset[2 * tap * ho * wo + q] =
                            1.5 * d->offset[2 * v3 + 1] + 0.5 * (j - cy);
                        v2->offset[(2 * tap + 1) * ho * wo + q] =
                            1.5 * d->offset[2 * v3] + 0.5 * (2 * i - cx);
                    }
    struct dcnv2_shape t = {
        .batch = N, .in_channels = CH, .height = H, .width = W, .out_channels = CH,
        .out_height = ho, .out_width = wo, .groups = CH, .offset_groups = G, .y = s.y, .x = s.x,
    };
    run(&s, d);
    ref64_dcnv2_forward(&t, v2->in, v2->offset, v2->mask, ones, NULL, v2->out);
    ref64_transpose(N, CH, ho * wo, v2->out, v2->in);
    assert_same(d->out, v2->in, out_count(&s), 1e-13);
    free(d), free(v2);
}

/* Without offsets and with masks of one DCNv2 is the convolution. */
static void dcnv2_without_offsets(void **state)
{
    struct dcnv3_shape s = shape(1);
    struct data *d = data_new(0), *flat = data_new(0);
    double weight[CH * CH * P];
    struct dcnv2_shape t = {
        .batch = N, .in_channels = CH, .height = H, .width = W, .out_channels = CH,
        .out_height = s.out_height, .out_width = s.out_width, .groups = 2, .offset_groups = 1,
        .y = s.y, .x = s.x,
    };
    struct conv2d_shape plain = {
        .batch = N, .in_channels = CH, .height = H, .width = W, .out_channels = CH,
        .out_height = s.out_height, .out_width = s.out_width, .groups = 2, .y = s.y, .x = s.x,
    };
    (void)state;
    fill(weight, "weight", CH * CH / 2 * P, 1);
    ref64_dcnv2_forward(&t, d->in, d->offset, NULL, weight, NULL, d->out);
    ref64_transpose(N, CH, H * W, d->in, flat->in);
    ref64_conv2d_forward(&plain, flat->in, weight, NULL, flat->out);
    ref64_transpose(N, s.out_height * s.out_width, CH, flat->out, flat->mask);
    assert_same(d->out, flat->mask, out_count(&s), 1e-13);
    free(d), free(flat);
}

/* NaN, infinite and huge offsets contribute nothing, forward and backward: the same
 * as a mask of zero there. */
static void far_points_give_nothing(void **state)
{
    static const double far[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 1e300};
    struct dcnv3_shape s = shape(1.5);
    struct data *a = data_new(3), *b = data_new(3), *ga = data_new(0), *gb = data_new(0);
    (void)state;
    for (int i = 0; i < MOST / 2; i += 5) {
        a->offset[2 * i + i % 2] = far[i % 6];
        b->mask[i] = 0;
    }
    run(&s, a);
    run(&s, b);
    assert_same(a->out, b->out, out_count(&s), 1e-14);
    memset(ga, 0, sizeof *ga);
    memset(gb, 0, sizeof *gb);
    ref64_dcnv3_backward(&s, a->in, a->offset, a->mask, a->out, ga->in, ga->offset, ga->mask);
    ref64_dcnv3_backward(&s, b->in, b->offset, b->mask, b->out, gb->in, gb->offset, gb->mask);
    assert_same(ga->in, gb->in, IN, 1e-13);
    assert_same(ga->offset, gb->offset, N * s.out_height * s.out_width * G * P * 2, 1e-13);
    free(a), free(b), free(ga), free(gb);
}

/* remove_center is a mask of zero in the middle. */
static void removed_centre(void **state)
{
    struct dcnv3_shape s = shape(1), r = shape(1);
    struct data *full = data_new(3), *less = data_new(3);
    const int middle = KW / 2 * KH + KH / 2, sets = N * s.out_height * s.out_width * G;
    (void)state;
    r.remove_center = true;
    for (int set = 0; set < sets; set++) {
        int to = set * (P - 1);
        for (int p = 0; p < P; p++) {
            if (p == middle) {
                full->mask[set * P + p] = 0;
                continue;
            }
            less->mask[to] = full->mask[set * P + p];
            memcpy(less->offset + 2 * to, full->offset + 2 * (set * P + p), 2 * sizeof(double));
            to++;
        }
    }
    run(&s, full);
    run(&r, less);
    assert_same(full->out, less->out, out_count(&s), 1e-14);
    free(full), free(less);
}

/* Each image and each group for itself. */
static void images_and_groups_are_independent(void **state)
{
    struct dcnv3_shape s = shape(1), one = shape(1);
    struct data *d = data_new(3), *second = data_new(3);
    const int each = s.out_height * s.out_width;
    (void)state;
    one.batch = 1;
    run(&s, d);
    ref64_dcnv3_forward(&one, d->in + H * W * CH, d->offset + each * G * P * 2,
                        d->mask + each * G * P, second->out);
    assert_same(d->out + each * CH, second->out, each * CH, 0);
    for (int i = 0; i < N * H * W; i++)         /* another group 1 changes only group 1 */
        for (int c = C; c < 2 * C; c++)
            d->in[i * CH + c] += 1;
    run(&s, second);
    memcpy(second->out, d->out, sizeof d->out);
    run(&s, d);
    for (int i = 0; i < out_count(&s); i++)
        if (i % CH < C || i % CH >= 2 * C)
            assert_true(d->out[i] == second->out[i]);
    free(d), free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_in_the_input), cmocka_unit_test(dcnv2_with_ones),
        cmocka_unit_test(dcnv2_without_offsets), cmocka_unit_test(far_points_give_nothing),
        cmocka_unit_test(removed_centre), cmocka_unit_test(images_and_groups_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
