/* The cases of single ops. Nothing is square, windows, strides, pads and dilations differ in
 * height and width, offsets of +-3 px leave the image in 10-30 % of the points; some points lie
 * exactly on pixels, on the border, halfway, or are NaN. */
#include "suite.h"
#include "dcn_case.h"

#include "ref/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW(k, s, p, d) {.kernel = k, .stride = s, .pad = p, .dilation = d}
#define V3(n, h, w, g, c, ...) \
    {.op = OP_dcnv3, .batch = n, .height = h, .width = w, .groups = g, .group_channels = c, __VA_ARGS__}
#define V2(n, h, w, i, o, ...) \
    {.op = OP_dcnv2, .batch = n, .height = h, .width = w, .in_channels = i, .out_channels = o, \
     __VA_ARGS__}
#define THREE .y = WINDOW(3, 1, 1, 1), .x = WINDOW(3, 1, 1, 1)

static const struct dcn_case dcn_cases[] = {
    V3(2, 7, 11, 3, 8, THREE),
    V3(2, 7, 11, 3, 8, .y = WINDOW(3, 1, 1, 1), .x = WINDOW(5, 2, 2, 2), .offset_scale = 1.5),
    V3(2, 9, 6, 2, 5, .y = WINDOW(5, 2, 2, 2), .x = WINDOW(3, 1, 0, 1), .offset_scale = 0.7),
    V3(1, 11, 13, 2, 4, .y = WINDOW(3, 3, 4, 3), .x = WINDOW(3, 2, 3, 2)),
    V3(1, 8, 10, 1, 16, THREE, .offset_scale = 2),
    V3(2, 6, 7, 4, 4, THREE, .remove_center = true),
    V3(1, 7, 9, 2, 3, .y = WINDOW(5, 1, 2, 1), .x = WINDOW(5, 1, 2, 1), .remove_center = true,
       .offset_scale = 1.5),
    V3(1, 6, 8, 2, 4, .y = WINDOW(3, 1, 1, 1), .x = WINDOW(5, 1, 2, 1), .remove_center = true),
    V3(2, 1, 9, 2, 4, THREE),
    V3(2, 9, 1, 2, 4, THREE, .offset_scale = 2),
    V3(2, 5, 7, 2, 4, .y = WINDOW(1, 1, 0, 1), .x = WINDOW(1, 1, 0, 1)),
    V3(1, 6, 7, 2, 4, .y = WINDOW(2, 1, 0, 1), .x = WINDOW(2, 1, 0, 1), .offset_scale = 1.5),
    V3(1, 6, 9, 2, 4, .y = WINDOW(2, 2, 1, 2), .x = WINDOW(4, 3, 2, 1), .offset_scale = 2),
    V3(3, 8, 5, 5, 1, .y = WINDOW(3, 2, 1, 1), .x = WINDOW(3, 2, 1, 1)),
    V3(2, 6, 8, 2, 4, THREE, .offsets = OFFSETS_INTEGER),
    V3(2, 6, 8, 2, 4, THREE, .offsets = OFFSETS_HALF),
    V3(2, 6, 8, 2, 4, THREE, .offsets = OFFSETS_ZERO),
    V3(2, 6, 8, 2, 4, THREE, .offsets = OFFSETS_FAR),
    V3(1, 6, 8, 2, 4, .y = WINDOW(3, 2, 1, 1), .x = WINDOW(5, 1, 2, 1), .offset_scale = 1.5,
       .offsets = OFFSETS_FAR),
    V3(1, 67, 131, 1, 2, THREE, .spread = 60),
    V2(2, 7, 9, 6, 4, THREE),
    V2(2, 7, 10, 4, 6, .y = WINDOW(3, 1, 1, 1), .x = WINDOW(5, 2, 2, 2)),
    V2(1, 9, 6, 8, 4, .y = WINDOW(5, 2, 2, 2), .x = WINDOW(3, 1, 0, 1), .groups = 2,
       .offset_groups = 4),
    V2(1, 11, 13, 4, 4, .y = WINDOW(3, 3, 4, 3), .x = WINDOW(3, 2, 3, 2), .offset_groups = 2),
    V2(2, 6, 7, 4, 4, THREE, .offset_groups = 2),
    V2(1, 6, 7, 6, 4, THREE, .groups = 2, .offset_groups = 3),
    V2(1, 6, 7, 4, 4, THREE, .groups = 4, .offset_groups = 2),
    V2(1, 5, 7, 3, 5, THREE, .no_bias = true),
    V2(2, 1, 8, 2, 3, THREE),
    V2(1, 8, 1, 2, 3, THREE),
    V2(2, 5, 6, 4, 5, .y = WINDOW(1, 1, 0, 1), .x = WINDOW(1, 1, 0, 1)),
    V2(1, 6, 7, 2, 3, .y = WINDOW(2, 2, 1, 1), .x = WINDOW(4, 3, 2, 1)),
    V2(2, 6, 8, 4, 3, THREE, .offsets = OFFSETS_INTEGER),
    V2(1, 6, 8, 4, 3, THREE, .offsets = OFFSETS_HALF),
    V2(1, 6, 8, 4, 3, THREE, .offsets = OFFSETS_ZERO),
    V2(1, 6, 8, 4, 3, THREE, .offsets = OFFSETS_FAR),
    V2(1, 61, 127, 2, 2, THREE, .spread = 60),
    V2(2, 6, 7, 4, 3, THREE, .no_mask = true),
    V2(1, 9, 6, 4, 4, .y = WINDOW(5, 2, 2, 2), .x = WINDOW(3, 1, 0, 1), .offset_groups = 2,
       .no_mask = true, .no_bias = true),
    V2(1, 7, 5, 2, 3, .y = WINDOW(2, 1, 1, 1), .x = WINDOW(3, 2, 0, 2), .no_mask = true,
       .offsets = OFFSETS_INTEGER),
};

static bool visit_dcn(suite_visit *visit, void *context, struct error *e)
{
    for (size_t i = 0; i < sizeof dcn_cases / sizeof *dcn_cases; i++) {
        char name[160];
        struct pair p;
        dcn_case_name(&dcn_cases[i], name, sizeof name);
        if (!dcn_case_new(&dcn_cases[i], &p, e))
            return false;
        /* Large coordinates: their rounding is that of the position, not of the fraction. */
        const bool ok = visit(context, name, &p, dcn_cases[i].spread > 10 ? 2 : 1, e);
        pair_free(&p);
        if (!ok)
            return false;
    }
    return true;
}

/* --- the other ops ----------------------------------------------------------------------- */

struct row_case {
    enum op_kind op;
    const char *shape_name;
    struct shape in;            /* of the first input; the others follow from it */
    float scale, center;        /* of the inputs */
    struct attr attr;
};

#define SHAPE4(a, b, c, d) {4, {a, b, c, d}}
#define ATTR(...) .attr = {.y = WINDOW(1, 1, 0, 1), .x = WINDOW(1, 1, 0, 1), .groups = 1, \
                           .offset_groups = 1, .bias = true, .offset_scale = 1, .eps = 1e-6, \
                           __VA_ARGS__}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const struct row_case row_cases[] = {
    {OP_conv2d, "n2h10w12i3o4k3x3s2x2p1x1", SHAPE4(2, 10, 12, 3), 2, 0,
     ATTR(.y = WINDOW(3, 2, 1, 1), .x = WINDOW(3, 2, 1, 1), .out_channels = 4)},
    {OP_conv2d, "n2h9w8i4o6k3x5s2x3p1x2d1x2g2", SHAPE4(2, 9, 8, 4), 2, 0,
     ATTR(.y = WINDOW(3, 2, 1, 1), .x = WINDOW(5, 3, 2, 2), .out_channels = 6, .groups = 2)},
    {OP_conv2d, "n1h8w7i4o4k4x2s1x2p2x1d2x1", SHAPE4(1, 8, 7, 4), 2, 0,
     ATTR(.y = WINDOW(4, 1, 2, 2), .x = WINDOW(2, 2, 1, 1), .out_channels = 4)},
    {OP_dwconv2d, "n2h7w6c5k3x5p1x2", SHAPE4(2, 7, 6, 5), 2, 0,
     ATTR(.y = WINDOW(3, 1, 1, 1), .x = WINDOW(5, 1, 2, 1))},
    {OP_dwconv2d, "n1h9w8c5k3x5s2x3p1x2d2x1", SHAPE4(1, 9, 8, 5), 2, 0,
     ATTR(.y = WINDOW(3, 2, 1, 2), .x = WINDOW(5, 3, 2, 1))},
    {OP_linear, "n2h3w4i6o5", SHAPE4(2, 3, 4, 6), 2, 0, ATTR(.out_channels = 5)},
    {OP_linear, "n1h2w3i7o7", SHAPE4(1, 2, 3, 7), 2, 0, ATTR(.out_channels = 7)},
    {OP_layer_norm, "n2h3w5c13", SHAPE4(2, 3, 5, 13), 2, 0, ATTR(.eps = 1e-6)},
    {OP_layer_norm, "n2h3w5c16-scale0.01", SHAPE4(2, 3, 5, 16), 0.01f, 0, ATTR(.eps = 1e-6)},
    {OP_layer_norm, "n1h2w5c16-eps1e-5-scale0.01", SHAPE4(1, 2, 5, 16), 0.01f, 0, ATTR(.eps = 1e-5)},
    {OP_batch_norm, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 2, 0, ATTR(.eps = 1e-5)},
    {OP_gelu, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 3, 0, ATTR(.eps = 1e-6)},
    {OP_relu, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 3, 0, ATTR(.eps = 1e-6)},
    {OP_silu, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 3, 0, ATTR(.eps = 1e-6)},
    {OP_sigmoid, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 3, 0, ATTR(.eps = 1e-6)},
    {OP_softmax, "n2h3w2c18-points9", SHAPE4(2, 3, 2, 18), 2, 0, ATTR(.points = 9)},
    {OP_layer_scale, "n2h3w4c6", SHAPE4(2, 3, 4, 6), 2, 0, ATTR(.eps = 1e-6)},
    {OP_add, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 2, 0, ATTR(.eps = 1e-6)},
    {OP_global_avg_pool, "n2h3w5c7", SHAPE4(2, 3, 5, 7), 2, 0.5f, ATTR(.eps = 1e-6)},
    {OP_pixel_shuffle, "n2h3w4c12-factor2", SHAPE4(2, 3, 4, 12), 2, 0, ATTR(.factor = 2)},
    {OP_attention_pool, "n3t20d16h4", {3, {3, 20, 16}}, 2, 0, ATTR(.heads = 4)},
    {OP_center_feature_scale, "n2h3w4g2c3", SHAPE4(2, 3, 4, 6), 2, 0, ATTR(.groups = 2)},
    {OP_to_nhwc, "n2c3h4w5", SHAPE4(2, 3, 4, 5), 2, 0, ATTR(.eps = 1e-6)},
    {OP_to_nchw, "n2h4w5c3", SHAPE4(2, 4, 5, 3), 2, 0, ATTR(.eps = 1e-6)},
};
#pragma GCC diagnostic pop

/* Shape of input `index`: most ops have one, or more of the same. */
static struct shape input_shape(const struct row_case *c, int index)
{
    struct shape s = c->in;
    if (c->op == OP_attention_pool && index == 0)
        return shape_of(2, s.dim[0], s.dim[2]);
    if (c->op == OP_center_feature_scale && index == 2)
        s.dim[3] = c->attr.groups;
    return s;
}

static struct graph *row_graph(const struct row_case *c, struct error *e)
{
    struct graph *g = graph_new();
    struct node *in[MAX_INPUTS] = {0};
    const struct ref64_op *row = ref64_op_row(c->op);
    int count = 0;
    for (; g && count < MAX_INPUTS && row->inputs[count]; count++)
        in[count] = graph_input(g, row->inputs[count], input_shape(c, count));
    if (g && graph_add(g, c->op, "op", c->attr, in, count))
        return g;
    fail(e, EXIT_USAGE, "%s %s: %s", row->name, c->shape_name, g ? g->error.text : "out of memory");
    graph_free(g);
    return NULL;
}

static bool row_fill(const struct row_case *c, const char *name, struct pair *p, struct error *e)
{
    char stream[400];
    const struct graph *g = p->graph;
    for (int i = 0; i < g->nodes - 1 + g->params; i++) {
        const int k = i - (g->nodes - 1);
        const int64_t count = shape_count(k < 0 ? &g->node[i]->shape : &g->param[k].shape);
        float *v = malloc((size_t)count * sizeof *v);
        if (!v)
            return fail(e, EXIT_USAGE, "out of memory for %s", name);
        snprintf(stream, sizeof stream, "%.200s/%s", name, k < 0 ? g->node[i]->name : "");
        if (k < 0) {
            seeded_uniform(stream, SUITE_SEED, count, v);
            for (int64_t j = 0; j < count; j++)
                v[j] = c->center + c->scale * v[j];
            pair_set_value(p, g->node[i], v);
        } else {
            seeded_parameter(&g->param[k], SUITE_SEED, v);
            pair_set_param(p, k, v);
        }
        free(v);
    }
    return true;
}

static bool visit_rows(suite_visit *visit, void *context, struct error *e)
{
    for (size_t i = 0; i < sizeof row_cases / sizeof *row_cases; i++) {
        const struct row_case *c = &row_cases[i];
        char name[160];
        struct pair p = {0};
        snprintf(name, sizeof name, "%s %s", ref64_op_row(c->op)->name, c->shape_name);
        struct graph *g = row_graph(c, e);
        if (!g || !pair_new(&p, g, e))
            return false;
        const bool ok = row_fill(c, name, &p, e) && visit(context, name, &p, 1, e);
        pair_free(&p);
        if (!ok)
            return false;
    }
    return true;
}

bool suite_ops(suite_visit *visit, void *context, struct error *e)
{
    return visit_dcn(visit, context, e) && visit_rows(visit, context, e);
}
