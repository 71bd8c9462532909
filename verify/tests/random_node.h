/* Random single-node cases for the tests of diagnose: odd sizes, everything unequal along the
 * two axes, several groups. Deterministic from a seed. Header only: cmocka tests are one file
 * each. */
#ifndef TESTS_RANDOM_NODE_H
#define TESTS_RANDOM_NODE_H

#include "ref/ref.h"
#include "ref/weights.h"
#include "verify/metrics.h"
#include "verify/port/conventions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct random_node {
    struct graph *graph;
    const struct node *node;            /* the last one */
    struct ref32_run *r32;
    struct ref64_run *r64;
    struct ref64_op_args args;          /* of the node in r64, whose inputs are set */
};

static uint64_t draw_seed, draw_count;

static int draw(int least, int most)
{
    return least + (int)(seeded_hash("draw", draw_count++, draw_seed) % (uint64_t)(most - least + 1));
}

/* An unequal pair out of [least, most]. */
static void draw_pair(int least, int most, int *a, int *b)
{
    *a = draw(least, most);
    do
        *b = draw(least, most);
    while (*b == *a);
}

static void draw_windows(struct attr *a)
{
    draw_pair(2, 4, &a->y.kernel, &a->x.kernel);
    draw_pair(2, 3, &a->y.stride, &a->x.stride);
    draw_pair(1, 3, &a->y.pad, &a->x.pad);
    draw_pair(2, 3, &a->y.dilation, &a->x.dilation);
}

static struct node *draw_dcnv3(struct graph *g, struct attr a, bool remove_center)
{
    const int batch = draw(1, 2), height = draw(9, 12), width = draw(13, 15);
    draw_windows(&a);
    if (remove_center)
        draw(0, 1) ? (a.y.kernel = 3, a.x.kernel = 5) : (a.y.kernel = 5, a.x.kernel = 3);
    a.groups = draw(2, 3);
    a.remove_center = remove_center;
    a.offset_scale = draw(0, 1) ? 1.5 : 0.75;
    const int64_t channels = a.groups * draw(2, 4), n = batch;
    const int64_t sets = a.groups * (a.y.kernel * a.x.kernel - a.remove_center);
    const int64_t ho = window_positions(height, a.y), wo = window_positions(width, a.x);
    struct node *in[] = {
        graph_input(g, "input", shape_of(4, n, (int64_t)height, (int64_t)width, channels)),
        graph_input(g, "offset", shape_of(4, n, ho, wo, sets * 2)),
        graph_input(g, "mask", shape_of(4, n, ho, wo, sets)),
    };
    return graph_add(g, OP_dcnv3, "op", a, in, 3);
}

static struct node *draw_dcnv2(struct graph *g, struct attr a)
{
    const int batch = draw(1, 2), height = draw(9, 12), width = draw(13, 15);
    draw_windows(&a);
    a.offset_groups = 2;
    a.groups = 2;
    a.out_channels = 2 * draw(2, 3);
    const int64_t channels = 4, n = batch, sets = a.offset_groups * a.y.kernel * a.x.kernel;
    const int64_t ho = window_positions(height, a.y), wo = window_positions(width, a.x);
    struct node *in[] = {
        graph_input(g, "input", shape_of(4, n, channels, (int64_t)height, (int64_t)width)),
        graph_input(g, "offset", shape_of(4, n, sets * 2, ho, wo)),
        graph_input(g, "mask", shape_of(4, n, sets, ho, wo)),
    };
    return graph_add(g, OP_dcnv2, "op", a, in, 3);
}

/* A convolution; of an image (three channels, behind to_nhwc) when `image`. */
static struct node *draw_conv(struct graph *g, struct attr a, enum op_kind op, bool image)
{
    const int64_t n = draw(1, 2), height = draw(9, 12), width = draw(13, 15);
    draw_windows(&a);
    a.groups = image || op == OP_dwconv2d ? 1 : 2;
    a.out_channels = 6;
    struct node *x = image ? graph_input(g, "input", shape_of(4, n, (int64_t)3, height, width))
                           : graph_input(g, "input", shape_of(4, n, height, width, (int64_t)4));
    if (image)
        x = graph_add(g, OP_to_nhwc, "nhwc", attr_default(), &x, 1);
    return graph_add(g, op, "op", a, &x, 1);
}

static struct node *draw_attention(struct graph *g, struct attr a)
{
    const int64_t n = draw(1, 2), tokens = draw(5, 9), channels = 12;
    a.heads = draw(2, 3);
    struct node *in[] = {
        graph_input(g, "query", shape_of(2, n, channels)),
        graph_input(g, "key", shape_of(3, n, tokens, channels)),
        graph_input(g, "value", shape_of(3, n, tokens, channels)),
    };
    return graph_add(g, OP_attention_pool, "op", a, in, 3);
}

/* Ops whose inputs are one or more arrays [N, H, W, C]. */
static struct node *draw_rows(struct graph *g, struct attr a, enum op_kind op)
{
    const int64_t n = draw(1, 2), height = draw(4, 6), width = draw(7, 9);
    int64_t channels = 12;
    a.points = 4;
    a.factor = 2;
    a.groups = 3;
    a.out_channels = draw(0, 1) ? 12 : 7;
    if (op == OP_batch_norm)
        a.eps = 1e-5;
    if (op == OP_layer_norm)
        a.eps = draw(0, 1) ? 1e-6 : 1e-4;
    struct node *in[3];
    const char *names[] = {"a", "b", "c"};
    const int count = op == OP_add ? 2 : op == OP_center_feature_scale ? 3 : 1;
    for (int i = 0; i < count; i++)
        in[i] = graph_input(g, names[i], shape_of(4, n, height, width, i == 2 ? 3 : channels));
    return graph_add(g, op, "op", a, in, count);
}

static struct node *draw_node(struct graph *g, enum op_kind op, int variant)
{
    struct attr a = attr_default();
    switch (op) {
    case OP_dcnv3: return draw_dcnv3(g, a, variant);
    case OP_dcnv2: return draw_dcnv2(g, a);
    case OP_conv2d: return draw_conv(g, a, op, variant);
    case OP_dwconv2d: return draw_conv(g, a, op, false);
    case OP_attention_pool: return draw_attention(g, a);
    default: return draw_rows(g, a, op);
    }
}

/* How far the values of an input or parameter reach; small where eps has to show. */
static double reach_of(const char *name, enum op_kind op)
{
    if (!strcmp(name, "offset"))
        return 2.5;
    return op == OP_layer_norm ? 0.05 : 2;
}

static void fill(double *v64, float *v32, int64_t count, const char *name, double reach)
{
    for (int64_t i = 0; i < count; i++) {
        double u = (double)(seeded_hash(name, (uint64_t)i, draw_seed) >> 11) * 0x1p-52 - 1;
        if (!strcmp(name, "mask"))
            u = 0.5 + 0.45 * u;
        else if (strstr(name, "running_var"))
            u = 0.4 + 0.35 * u;
        else
            u *= reach;
        v64[i] = v32[i] = (float)u;
    }
}

/* variant 1: DCNv3 with remove_center; a convolution that reads the image. The caller sees
 * to it that the seed differs from case to case. */
static struct random_node random_node(enum op_kind op, int variant, uint64_t seed)
{
    struct random_node c = {0};
    for (int i = 0; i < 100 && !c.node; i++) {      /* until the windows fit the image */
        draw_seed = seed;
        draw_count = 0;
        seed += 1000003;
        graph_free(c.graph);
        c.graph = graph_new();
        c.node = draw_node(c.graph, op, variant);
    }
    if (!c.node)
        abort();                        /* an op this file cannot make */
    c.r32 = ref32_run_new(c.graph, NULL);
    c.r64 = ref64_run_new(c.graph, NULL);
    if (!c.r32 || !c.r64)
        abort();
    for (int i = 0; i < c.graph->nodes; i++) {
        const struct node *n = c.graph->node[i];
        if (n->op == OP_input)
            fill(c.r64->value[i], c.r32->value[i], shape_count(&n->shape), n->name,
                 reach_of(n->name, op));
    }
    for (int i = 0; i < c.graph->params; i++)
        fill(c.r64->param[i], c.r32->param[i], shape_count(&c.graph->param[i].shape),
             c.graph->param[i].key, 1);
    ref64_run_forward(c.r64, NULL, NULL);
    ref32_run_forward(c.r32, NULL, NULL);
    c.args = ref64_run_args(c.r64, c.node);
    return c;
}

static void random_node_free(struct random_node *c)
{
    ref32_run_free(c->r32);
    ref64_run_free(c->r64);
    graph_free(c->graph);
}

/* What float32 rounding may explain in this case. */
__attribute__((unused)) static double float_limit(const struct random_node *c)
{
    int64_t count = shape_count(&c->node->shape);
    struct metrics m = measure32(count, c->r32->value[c->node->id], c->r64->value[c->node->id],
                                 NULL, NULL);
    return ENVELOPE_K * envelope_of(m.rel_rms, 1);
}

/* Room for the node's output. */
static double *new_output(const struct random_node *c)
{
    double *v = malloc((size_t)shape_count(&c->node->shape) * sizeof *v);
    if (!v)
        abort();
    return v;
}

/* A port in float32 that makes the mistake: its result rounded. */
static double *port_output(const struct random_node *c, const struct convention *a,
                           const struct convention *b)
{
    double *out = new_output(c);
    if (!convention_apply(a, b, c->node, &c->args, out, NULL))
        abort();
    for (int64_t i = 0; i < shape_count(&c->node->shape); i++)
        out[i] = (float)out[i];
    return out;
}

#endif
