/* The analytic gradients against central differences in double: every op of the
 * table, and the small model end to end.
 *
 * With step h the difference quotient is off by h^2 f'''/6 and by rounding, 1e-16 |f|
 * / h; at h = 1e-5 both are near 1e-10 for values of order 1. Compared is the norm of
 * the whole gradient's error, relative; 1e-7 leaves a thousandfold margin and is far
 * below any wrong term. */
#include "ref/internimage.h"
#include "ref/ref.h"
#include "ref/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 1e-5
#define LIMIT 1e-7

struct subject {
    struct graph *graph;
    struct ref64_run *run;
    double *d_output;
};

static double uniform(const char *name, int64_t i)
{
    return (double)(seeded_hash(name, (uint64_t)i, 7) >> 11) * 0x1p-52 - 1;
}

static void fill(double *values, const char *name, int64_t count, double center, double scale)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = center + scale * uniform(name, i);
}

static struct subject subject_new(struct graph *g)
{
    struct subject s = {.graph = g, .run = ref64_run_new(g, NULL)};
    const struct node *last = g->node[g->nodes - 1];
    int64_t count = shape_count(&last->shape);
    assert_non_null(s.run);
    s.d_output = malloc((size_t)count * sizeof(double));
    fill(s.d_output, "d_output", count, 0, 1);
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input)
            fill(s.run->value[i], g->node[i]->name, shape_count(&g->node[i]->shape), 0, 2);
    for (int i = 0; i < g->params; i++) {
        bool variance = strstr(g->param[i].key, "running_var") != NULL;
        fill(s.run->param[i], g->param[i].key, shape_count(&g->param[i].shape), variance ? 2 : 0,
             1);
    }
    return s;
}

static void subject_free(struct subject *s)
{
    free(s->d_output);
    ref64_run_free(s->run);
    graph_free(s->graph);
}

/* sum(output * d_output): the loss whose gradient run_backward computes. */
static double loss(const struct subject *s)
{
    const struct node *last = s->graph->node[s->graph->nodes - 1];
    double sum = 0;
    ref64_run_forward(s->run, NULL, NULL);
    for (int64_t i = 0; i < shape_count(&last->shape); i++)
        sum += s->run->value[last->id][i] * s->d_output[i];
    return sum;
}

/* Relative error of `analytic` as the gradient with respect to values[]; only every
 * `stride`-th element is tried. */
static double gradient_error(const struct subject *s, double *values, const double *analytic,
                             int64_t count, int64_t stride)
{
    double error = 0, norm = 0;
    for (int64_t i = 0; i < count; i += stride) {
        double keep = values[i];
        values[i] = keep + STEP;
        double up = loss(s);
        values[i] = keep - STEP;
        double down = loss(s);
        values[i] = keep;
        double numeric = (up - down) / (2 * STEP);
        error += (analytic[i] - numeric) * (analytic[i] - numeric);
        norm += numeric * numeric;
    }
    return sqrt(error) / (sqrt(norm) + 1e-12);
}

/* Worst over all inputs and parameters. */
static double worst_error(const struct subject *s, int64_t most)
{
    double worst = 0;
    const struct graph *g = s->graph;
    loss(s);
    assert_true(ref64_run_backward(s->run, s->d_output, NULL));
    for (int i = 0; i < g->nodes + g->params; i++) {
        bool is_param = i >= g->nodes;
        int k = is_param ? i - g->nodes : i;
        int64_t count = is_param ? shape_count(&g->param[k].shape) : shape_count(&g->node[k]->shape);
        if (is_param ? g->param[k].buffer : g->node[k]->op != OP_input)
            continue;
        double e = gradient_error(s, is_param ? s->run->param[k] : s->run->value[k],
                                  is_param ? s->run->d_param[k] : s->run->d_value[k], count,
                                  count > most ? count / most : 1);
        if (!(e <= LIMIT))
            print_message("%s: %.2e\n", is_param ? g->param[k].key : g->node[k]->name, e);
        worst = e > worst || e != e ? e : worst;
    }
    return worst;
}

/* --- one graph per op -------------------------------------------------------------- */

static struct attr window_attr(int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw)
{
    struct attr a = attr_default();
    a.y = (struct window){kh, sh, ph, dh};
    a.x = (struct window){kw, sw, pw, dw};
    return a;
}

static struct graph *op_graph(enum op_kind op, struct attr a, int count, const struct shape *shape)
{
    struct graph *g = graph_new();
    struct node *in[MAX_INPUTS] = {0};
    for (int i = 0; i < count; i++)
        in[i] = graph_input(g, ref64_op_row(op)->inputs[i], shape[i]);
    if (!graph_add(g, op, "op", a, in, count))
        fail_msg("%s", g->error.text);
    return g;
}

#define SHAPE(...) shape_of(sizeof((int[]){__VA_ARGS__}) / sizeof(int), LONGS(__VA_ARGS__))
#define LONGS(...) LONGS_(__VA_ARGS__, 0, 0, 0)
#define LONGS_(a, b, c, d, ...) (int64_t)(a), (int64_t)(b), (int64_t)(c), (int64_t)(d)

static void check_op(enum op_kind op, struct attr a, int count, const struct shape *shape)
{
    struct subject s = subject_new(op_graph(op, a, count, shape));
    double error = worst_error(&s, 1 << 20);
    print_message("  %-22s %.1e\n", ref64_op_row(op)->name, error);
    assert_true(error <= LIMIT);
    subject_free(&s);
}

static void check_one(enum op_kind op, struct attr a, struct shape shape)
{
    check_op(op, a, 1, &shape);
}

static void check_dcnv3(struct attr a, int n, int h, int w, int c)
{
    int points = a.y.kernel * a.x.kernel - a.remove_center;
    int ho = window_positions(h, a.y), wo = window_positions(w, a.x);
    const struct shape shape[] = {SHAPE(n, h, w, c), SHAPE(n, ho, wo, a.groups * points * 2),
                                  SHAPE(n, ho, wo, a.groups * points)};
    check_op(OP_dcnv3, a, 3, shape);
}

static void check_dcnv2(struct attr a, int n, int h, int w, int c, int inputs)
{
    int taps = a.y.kernel * a.x.kernel * a.offset_groups;
    int ho = window_positions(h, a.y), wo = window_positions(w, a.x);
    const struct shape shape[] = {SHAPE(n, c, h, w), SHAPE(n, taps * 2, ho, wo),
                                  SHAPE(n, taps, ho, wo)};
    check_op(OP_dcnv2, a, inputs, shape);
}

static void dcnv3_gradients(void)
{
    struct attr a = window_attr(3, 5, 1, 2, 1, 2, 1, 2);
    a.groups = 3;
    a.offset_scale = 1.5;
    check_dcnv3(a, 2, 5, 7, 6);
    a = window_attr(3, 3, 2, 1, 1, 1, 1, 1);
    a.groups = 2;
    a.remove_center = true;
    check_dcnv3(a, 1, 6, 4, 4);
    a = window_attr(2, 4, 1, 1, 1, 2, 2, 1);
    check_dcnv3(a, 1, 1, 5, 3);
}

static void dcnv2_gradients(void)
{
    struct attr a = window_attr(3, 5, 1, 2, 1, 2, 1, 2);
    a.out_channels = 4;
    a.groups = 2;
    a.offset_groups = 4;
    check_dcnv2(a, 2, 5, 6, 4, 3);
    a = window_attr(3, 3, 1, 1, 1, 1, 1, 1);
    a.out_channels = 2;
    a.bias = false;
    check_dcnv2(a, 1, 4, 5, 3, 2);
}

static void conv_gradients(enum op_kind op)
{
    struct attr a = window_attr(3, 5, 2, 1, 1, 2, 1, 2);
    a.out_channels = 6;
    a.groups = op == OP_conv2d ? 2 : 1;
    check_one(op, a, SHAPE(2, 6, 7, 4));
}

static void attention_gradients(void)
{
    struct attr a = attr_default();
    a.heads = 3;
    const struct shape shape[] = {SHAPE(2, 6), SHAPE(2, 5, 6), SHAPE(2, 5, 6)};
    check_op(OP_attention_pool, a, 3, shape);
}

static void center_feature_scale_gradients(void)
{
    struct attr a = attr_default();
    a.groups = 2;
    const struct shape shape[] = {SHAPE(2, 2, 3, 6), SHAPE(2, 2, 3, 6), SHAPE(2, 2, 3, 2)};
    check_op(OP_center_feature_scale, a, 3, shape);
}

/* Every row of the table must be named here: a new op without a gradient test is a
 * compiler warning, and so an error. */
static void check_kind(enum op_kind op)
{
    struct attr a = attr_default();
    a.out_channels = 5;
    a.points = 3;
    a.factor = 2;
    const struct shape two[] = {SHAPE(2, 3, 4), SHAPE(2, 3, 4)};
    const struct shape scaled[] = {SHAPE(2, 3, 4), SHAPE(2)};
    switch (op) {
    case OP_dcnv3: dcnv3_gradients(); break;
    case OP_dcnv2: dcnv2_gradients(); break;
    case OP_conv2d: case OP_dwconv2d: conv_gradients(op); break;
    case OP_attention_pool: attention_gradients(); break;
    case OP_center_feature_scale: center_feature_scale_gradients(); break;
    case OP_add: check_op(op, a, 2, two); break;
    case OP_drop_path: check_op(op, a, 2, scaled); break;
    case OP_batch_norm_train: check_one(op, a, SHAPE(5, 3, 6)); break;
    case OP_linear: case OP_layer_norm: case OP_batch_norm: case OP_gelu: case OP_relu:
    case OP_silu: case OP_sigmoid: case OP_softmax: case OP_layer_scale:
    case OP_constant:
        check_one(op, a, SHAPE(2, 3, 6)); break;
    case OP_global_avg_pool: case OP_pixel_shuffle: case OP_to_nhwc: case OP_to_nchw:
        check_one(op, a, SHAPE(2, 3, 5, 8)); break;
    case OP_input: case OP_COUNT: break;
    }
}

static void every_op(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++)
        check_kind((enum op_kind)op);
}

/* A gradient that is off by a tenth of a percent must be noticed. */
static void a_wrong_gradient_is_caught(void **state)
{
    (void)state;
    struct attr a = attr_default();
    a.out_channels = 5;
    struct shape shape = SHAPE(2, 3, 6);
    struct subject s = subject_new(op_graph(OP_linear, a, 1, &shape));
    loss(&s);
    assert_true(ref64_run_backward(s.run, s.d_output, NULL));
    int64_t count = shape_count(&s.graph->param[0].shape);
    assert_true(gradient_error(&s, s.run->param[0], s.run->d_param[0], count, 1) <= LIMIT);
    s.run->d_param[0][7] *= 1.001;
    assert_true(gradient_error(&s, s.run->param[0], s.run->d_param[0], count, 1) > LIMIT);
    subject_free(&s);
}

/* --- the model --------------------------------------------------------------------- */

static struct graph *pico(bool huge)
{
    struct internimage_config c;
    assert_true(internimage_named("pico", &c, NULL));
    if (huge) {                         /* the style of H, with its head */
        c.res_post_norm = c.center_feature_scale = c.clip_projector = true;
        c.dw_kernel_size = 5;
        c.clip_dim = 16;
        c.clip_heads = 2;
        c.clip_out = 8;
    } else {                            /* that of S to XL */
        c.layer_scale = c.post_norm = true;
    }
    struct graph *g = internimage_graph(&c, 1, 32, 32, NULL);
    assert_non_null(g);
    return g;
}

/* Through 5 blocks the loss bends more sharply: some sampling points lie within a
 * step of a pixel boundary, where the derivative jumps. Directional derivatives along
 * each parameter tensor average over all of its elements. */
static void check_model(bool huge)
{
    struct subject s = subject_new(pico(huge));
    const struct graph *g = s.graph;
    for (int i = 0; i < g->params; i++) {
        float *v = malloc((size_t)shape_count(&g->param[i].shape) * sizeof *v);
        seeded_parameter(&g->param[i], 3, v);
        for (int64_t k = 0; k < shape_count(&g->param[i].shape); k++)
            s.run->param[i][k] = v[k];
        free(v);
    }
    loss(&s);
    assert_true(ref64_run_backward(s.run, s.d_output, NULL));
    double error = 0, norm = 0, h = 1e-7;
    for (int i = 0; i < g->params; i++) {
        int64_t count = shape_count(&g->param[i].shape);
        double along = 0, *p = s.run->param[i];
        if (g->param[i].buffer)
            continue;
        for (int64_t k = 0; k < count; k++)
            along += s.run->d_param[i][k] * uniform("direction", k);
        for (int64_t k = 0; k < count; k++)
            p[k] += h * uniform("direction", k);
        double up = loss(&s);
        for (int64_t k = 0; k < count; k++)
            p[k] -= 2 * h * uniform("direction", k);
        double down = loss(&s);
        for (int64_t k = 0; k < count; k++)
            p[k] += h * uniform("direction", k);
        double numeric = (up - down) / (2 * h);
        error += (along - numeric) * (along - numeric);
        norm += numeric * numeric;
    }
    print_message("  pico, %s: %.1e over %d parameters\n", huge ? "style of H" : "style of S",
                  sqrt(error / norm), g->params);
    assert_true(sqrt(error / norm) <= 1e-5);
    subject_free(&s);
}

static void pico_end_to_end(void **state)
{
    (void)state;
    check_model(false);
    check_model(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op), cmocka_unit_test(a_wrong_gradient_is_caught),
        cmocka_unit_test(pico_end_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
