/* Ablated architectures: their gradients against central differences, the fast side against
 * the double reference, and identities that tie each one to the model it changes. */
#include "datasets/weights_file.h"
#include "ref/ref.h"
#include "ref/weights.h"
#include "verify/golden.h"
#include "verify/train/ablations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ends_in(const char *key, const char *suffix)
{
    const size_t k = strlen(key), s = strlen(suffix);
    return k >= s && !strcmp(key + k - s, suffix);
}

static struct internimage_config config_of(const char *ablation)
{
    struct internimage_config c = {0};
    struct error e = {0};
    const struct ablation *a = ablation_named(ablation, &e);
    if (!a || !internimage_named("pico", &c, &e) || !ablation_apply(a, &c, &e))
        fail_msg("%s", e.text);
    return c;
}

static struct graph *graph_of(const struct internimage_config *c, int batch, int size)
{
    struct error e = {0};
    struct graph *g = internimage_graph(c, batch, size, size, &e);
    if (!g)
        fail_msg("%s: %s", c->name, e.text);
    return g;
}

/* Seeded numbers in both precisions. */
static struct pair seeded_pair(const struct internimage_config *c, int batch, int size,
                               uint64_t seed)
{
    struct pair p;
    struct graph *g = graph_of(c, batch, size);
    assert_true(pair_new(&p, g, NULL));
    for (int i = 0; i < g->params; i++) {
        float *v = malloc((size_t)shape_count(&g->param[i].shape) * sizeof *v);
        seeded_parameter(&g->param[i], seed, v);
        pair_set_param(&p, i, v);
        free(v);
    }
    const int64_t count = shape_count(&g->node[0]->shape);
    float *x = malloc((size_t)count * sizeof *x);
    seeded_uniform("image", seed, count, x);
    pair_set_value(&p, g->node[0], x);
    free(x);
    return p;
}

/* Where a sampling point lies on a row or column of pixels the derivative jumps: no
 * difference quotient, and no two roundings, agree there. */
static bool is_smooth(const struct pair *p)
{
    for (int i = 0; i < p->graph->nodes; i++) {
        const struct node *n = p->graph->node[i];
        const int64_t count = shape_count(&n->shape);
        if (n->op != OP_linear || !ends_in(n->name, "dcn.offset"))
            continue;
        for (int64_t k = 0; k < count; k++) {
            const double x = p->r64->value[i][k];
            if (fabs(x - round(x)) < 2e-6)
                return false;
        }
    }
    return true;
}

/* With the first seed that keeps clear of them, forward done. */
static struct pair smooth_pair(const struct internimage_config *c, int batch, int size)
{
    for (uint64_t seed = 3;; seed++) {
        struct pair p = seeded_pair(c, batch, size, seed);
        pair_forward(&p, NULL, NULL);
        if (is_smooth(&p))
            return p;
        pair_free(&p);
    }
}

static const struct node *output_of(const struct graph *g)
{
    return g->node[g->nodes - 1];
}

/* --- gradients ----------------------------------------------------------------------- */

static double loss(struct pair *p, const float *d_output)
{
    const struct node *last = output_of(p->graph);
    double sum = 0;
    ref64_run_forward(p->r64, NULL, NULL);
    for (int64_t i = 0; i < shape_count(&last->shape); i++)
        sum += p->r64->value[last->id][i] * d_output[i];
    return sum;
}

/* A layer that is changed, and one with everything behind it. */
static bool is_tried(const struct param *p)
{
    return !p->buffer && (!strncmp(p->key, "levels.1.blocks.0.dcn.", 22)
                          || !strcmp(p->key, "patch_embed.conv1.weight"));
}

/* Central difference along a random direction in parameter tensors, of the definition in
 * double; see test_gradients.c for the step. */
static double definition_error(struct pair *p, const float *d_output)
{
    const struct graph *g = p->graph;
    const double h = 1e-7;
    double error = 0, norm = 0;
    for (int i = 0; i < g->params; i++) {
        const int64_t count = shape_count(&g->param[i].shape);
        if (!is_tried(&g->param[i]))
            continue;
        float *direction = malloc((size_t)count * sizeof *direction);
        double along = 0, *value = p->r64->param[i];
        seeded_uniform(g->param[i].key, 11, count, direction);
        for (int64_t k = 0; k < count; k++)
            along += p->r64->d_param[i][k] * direction[k];
        double numeric = 0;
        for (int side = -1; side <= 1; side += 2) {
            for (int64_t k = 0; k < count; k++)
                value[k] += side * h * direction[k];
            numeric += side * loss(p, d_output) / (2 * h);
            for (int64_t k = 0; k < count; k++)
                value[k] -= side * h * direction[k];
        }
        error += (along - numeric) * (along - numeric);
        norm += numeric * numeric;
        free(direction);
    }
    return sqrt(error / norm);
}

/* Every value and gradient of the fast sides, by verify's rule. */
static int fast_failures(struct pair *p, const char *name, const float *d_output)
{
    struct findings found = {0};
    struct error e = {0};
    if (!golden_opt(p, name, NULL, &found, &e) || !golden_train(p, name, NULL, d_output, &found, &e))
        fail_msg("%s: %s", name, e.text);
    int failures = 0;
    for (int i = 0; i < found.count; i++)
        if (!found.item[i].pass && failures++ < 3)
            print_message("%s %s: %.2e, limit %.2e\n", found.item[i].unit, found.item[i].tensor,
                          found.item[i].opt.rel_rms, found.item[i].torch32_limit);
    assert_true(found.count > 50);
    findings_free(&found);
    return failures;
}

static void gradients_of_every_ablation(void **state)
{
    (void)state;
    for (const struct ablation *a = ablations; a->name; a++) {
        struct internimage_config c = config_of(a->name);
        if (!strcmp(a->family, "stacking") || !strcmp(a->family, "scaling"))
            continue;           /* more or wider layers of the same kind */
        struct pair p = smooth_pair(&c, 2, 32);
        const int64_t count = shape_count(&output_of(p.graph)->shape);
        float *d_output = malloc((size_t)count * sizeof *d_output);
        seeded_uniform("grad_output", 3, count, d_output);
        assert_true(pair_backward(&p, d_output, NULL));
        const int failures = fast_failures(&p, a->name, d_output);
        const double error = definition_error(&p, d_output);
        print_message("  %-14s %.1e\n", a->name, error);
        assert_true(error <= 1e-5);
        assert_int_equal(failures, 0);
        free(d_output);
        pair_free(&p);
    }
}

/* --- identities ---------------------------------------------------------------------- */

static void zero(struct pair *p, const char *suffix)
{
    for (int i = 0; i < p->graph->params; i++)
        if (ends_in(p->graph->param[i].key, suffix))
            memset(p->r64->param[i], 0,
                   (size_t)shape_count(&p->graph->param[i].shape) * sizeof(double));
}

/* Largest difference of the two models' outputs, relative to the first's largest. */
static double output_difference(struct pair *a, struct pair *b)
{
    const struct node *x = output_of(a->graph), *y = output_of(b->graph);
    double difference = 0, most = 0;
    ref64_run_forward(a->r64, NULL, NULL);
    ref64_run_forward(b->r64, NULL, NULL);
    for (int64_t i = 0; i < shape_count(&x->shape); i++) {
        difference = fmax(difference, fabs(a->r64->value[x->id][i] - b->r64->value[y->id][i]));
        most = fmax(most, fabs(a->r64->value[x->id][i]));
    }
    return difference / most;
}

/* The base model with the branch zeroed is the model without it. Parameters are seeded by
 * their keys, so whatever both models have is the same in both. */
static void check_zeroed(const char *ablation, const char *weight, const char *bias)
{
    struct internimage_config with = config_of("base"), without = config_of(ablation);
    struct pair a = seeded_pair(&with, 1, 48, 3), b = seeded_pair(&without, 1, 48, 3);
    assert_true(output_difference(&a, &b) > 1e-3);
    zero(&a, weight);
    zero(&a, bias);
    assert_true(output_difference(&a, &b) < 1e-12);
    pair_free(&a);
    pair_free(&b);
}

static void without_a_branch_is_with_zeros(void **state)
{
    (void)state;
    check_zeroed("fixed-offsets", "dcn.offset.weight", "dcn.offset.bias");
    check_zeroed("no-modulation", "dcn.mask.weight", "dcn.mask.bias");
}

/* Between the mask layer and the operator stands what the ablation names. */
static void modulations_are_what_they_say(void **state)
{
    (void)state;
    static const struct { const char *ablation; enum op_kind last; } row[] = {
        {"base", OP_softmax}, {"sigmoid", OP_sigmoid}, {"linear", OP_linear},
        {"no-modulation", OP_constant},
    };
    for (int i = 0; i < 4; i++) {
        struct internimage_config c = config_of(row[i].ablation);
        struct graph *g = graph_of(&c, 1, 32);
        const struct node *core = graph_find(g, "levels.2.blocks.1.dcn.core");
        assert_int_equal(core->in[2]->op, row[i].last);
        if (row[i].last != OP_constant)
            assert_string_equal(core->in[2]->op == OP_linear ? core->in[2]->name
                                                             : core->in[2]->in[0]->name,
                                "levels.2.blocks.1.dcn.mask");
        graph_free(g);
    }
}

/* Copies DCNv3's offset or mask layer to the DCNv2 order: per point `values` rows, points
 * by column to points by row, (x, y) to (y, x). */
static void reorder(const double *from, double *to, int groups, int kernel, int values, int64_t row)
{
    for (int g = 0; g < groups; g++)
        for (int ky = 0; ky < kernel; ky++)
            for (int kx = 0; kx < kernel; kx++)
                for (int v = 0; v < values; v++) {
                    const int64_t first = (int64_t)g * kernel * kernel;
                    memcpy(to + ((first + ky * kernel + kx) * values + v) * row,
                           from + ((first + kx * kernel + ky) * values + values - 1 - v) * row,
                           (size_t)row * sizeof *to);
                }
}

static void convert_layer(const struct pair *from, struct pair *to, int kernel, int i)
{
    const struct param *p = &from->graph->param[i];
    const int k = graph_find_param(to->graph, p->key);
    const int64_t rows = p->shape.dim[0], row = shape_count(&p->shape) / rows;
    const int area = kernel * kernel;
    assert_true(k >= 0);
    if (ends_in(p->key, "dcn.offset.weight") || ends_in(p->key, "dcn.offset.bias"))
        reorder(from->r64->param[i], to->r64->param[k], (int)rows / area / 2, kernel, 2, row);
    else if (ends_in(p->key, "dcn.mask.weight") || ends_in(p->key, "dcn.mask.bias"))
        reorder(from->r64->param[i], to->r64->param[k], (int)rows / area, kernel, 1, row);
    else if (ends_in(p->key, "output_proj.weight"))
        for (int64_t v = 0; v < rows * row * area; v++)     /* every point the same weight */
            to->r64->param[k][v] = from->r64->param[i][v / area];
}

/* With the same weight at every point nothing is unshared. */
static void unshared_equals_shared(void **state)
{
    (void)state;
    for (int kernel = 3; kernel <= 5; kernel += 2) {
        struct internimage_config shared = config_of("base"), unshared = config_of("unshared");
        shared.kernel_size = unshared.kernel_size = kernel;
        struct pair a = seeded_pair(&shared, 1, 48, 3), b = seeded_pair(&unshared, 1, 48, 3);
        assert_true(output_difference(&a, &b) > 1e-3);
        for (int i = 0; i < a.graph->params; i++)
            convert_layer(&a, &b, kernel, i);
        assert_true(output_difference(&a, &b) < 1e-11);
        pair_free(&a);
        pair_free(&b);
    }
}

/* Without offsets and modulation the unshared layer is a convolution. */
static void conv_is_a_convolution(void **state)
{
    (void)state;
    struct internimage_config c = config_of("conv");
    struct pair p = seeded_pair(&c, 1, 48, 3);
    const struct node *layer = graph_find(p.graph, "levels.0.blocks.0.dcn.output_nhwc");
    const struct node *value = graph_find(p.graph, "levels.0.blocks.0.dcn.input_proj");
    const struct node *dcn = layer->in[0];
    const int64_t count = shape_count(&layer->shape);
    ref64_run_forward(p.r64, NULL, NULL);
    double *want = malloc((size_t)count * sizeof *want), *weight = p.r64->param[dcn->param[0]];
    for (int64_t i = 0; i < shape_count(&p.graph->param[dcn->param[0]].shape); i++)
        weight[i] /= 9;
    const struct conv2d_shape s = {
        .batch = 1, .in_channels = 16, .height = 12, .width = 12, .out_channels = 16,
        .out_height = 12, .out_width = 12, .groups = 1, .y = {3, 1, 1, 1}, .x = {3, 1, 1, 1},
    };
    ref64_conv2d_forward(&s, p.r64->value[value->id], weight, p.r64->param[dcn->param[1]], want);
    for (int64_t i = 0; i < count; i++)
        assert_true(fabs(want[i] - p.r64->value[layer->id][i]) < 1e-12);
    free(want);
    pair_free(&p);
}

static void weight_files_keep_them(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/internimage-%d.h5", temporary ? temporary : "/tmp", getpid());
    for (const struct ablation *a = ablations; a->name; a++) {
        struct internimage_config c = config_of(a->name), read;
        struct graph *g = graph_of(&c, 1, 32);
        float **values = weights_new(g, NULL);
        for (int i = 0; i < g->params; i++)
            seeded_parameter(&g->param[i], 3, values[i]);
        assert_true(weights_write(path, &c, g, values, NULL));
        assert_true(weights_config(path, &read, NULL));
        assert_int_equal(read.modulation, c.modulation);
        assert_int_equal(read.fixed_offsets, c.fixed_offsets);
        assert_int_equal(read.unshared, c.unshared);
        weights_free(g, values);
        graph_free(g);
    }
    unlink(path);
}

static void impossible_ones_are_refused(void **state)
{
    (void)state;
    struct error e = {0};
    struct internimage_config c = config_of("unshared");
    assert_null(ablation_named("unshard", &e));
    assert_non_null(strstr(e.text, "one-group"));
    c.offset_scale = 2;
    assert_false(internimage_check(&c, NULL));
    c = config_of("unshared");
    c.remove_center = true;
    assert_false(internimage_check(&c, NULL));
    c = config_of("base");
    c.modulation = MODULATIONS;
    assert_false(internimage_check(&c, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_ablation),
        cmocka_unit_test(without_a_branch_is_with_zeros),
        cmocka_unit_test(modulations_are_what_they_say),
        cmocka_unit_test(unshared_equals_shared), cmocka_unit_test(conv_is_a_convolution),
        cmocka_unit_test(weight_files_keep_them),
        cmocka_unit_test(impossible_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
