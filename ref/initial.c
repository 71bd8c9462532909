#include "initial.h"
#include "weights.h"

#include <math.h>
#include <string.h>

static bool ends_in(const char *name, const char *suffix)
{
    const size_t k = strlen(name), s = strlen(suffix);
    return k >= s && !strcmp(name + k - s, suffix);
}

static void fill(int64_t count, float value, float *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = value;
}

static void fill_uniform(const struct param *p, uint64_t seed, double scale, float *out)
{
    const int64_t count = shape_count(&p->shape);
    seeded_uniform(p->key, seed, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i] *= (float)scale;
}

/* Box and Muller's transform of two uniform numbers. */
static void fill_normal(const struct param *p, uint64_t seed, double deviation, float *out)
{
    const double pi = 3.14159265358979323846;
    for (int64_t i = 0; i < shape_count(&p->shape); i++) {
        const double u = ((double)(seeded_hash(p->key, 2 * (uint64_t)i, seed) >> 11) + 1) * 0x1p-53;
        const double a = (double)(seeded_hash(p->key, 2 * (uint64_t)i + 1, seed) >> 11) * 0x1p-53;
        out[i] = (float)(deviation * sqrt(-2 * log(u)) * cos(2 * pi * a));
    }
}

/* Convolutions, but not the ablation's output_proj: its [C, C, K, K] are K*K projections. */
static bool has_fan(const struct node *n)
{
    return n->op == OP_conv2d || n->op == OP_dwconv2d
        || (n->op == OP_dcnv2 && !ends_in(n->name, "dcn.output_proj"));
}

static void initial_projection(const struct param *p, uint64_t seed, float *out)
{
    fill_uniform(p, seed, sqrt(6 / (double)(p->shape.dim[0] + p->shape.dim[1])), out);
}

static void initial_weight(const struct node *n, const struct param *p, uint64_t seed, float *out)
{
    const int64_t count = shape_count(&p->shape);
    const double fan_in = (double)(count / p->shape.dim[0]);
    if (has_fan(n))
        fill_uniform(p, seed, 1 / sqrt(fan_in), out);
    else if (ends_in(n->name, "dcn.input_proj") || ends_in(n->name, "dcn.output_proj"))
        initial_projection(p, seed, out);
    else if (n->op == OP_layer_scale)
        fill(count, 1e-5f, out);
    else if (n->op != OP_linear)
        fill(count, 1, out);
    else if (ends_in(n->name, "dcn.offset") || ends_in(n->name, "dcn.mask"))
        fill(count, 0, out);
    else
        fill_normal(p, seed, 0.02, out);
}

void initial_parameters(const struct graph *g, uint64_t seed, float *const *out)
{
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = g->node[i];
        for (int k = 0; k < n->params; k++) {
            const struct param *p = &g->param[n->param[k]];
            float *to = out[n->param[k]];
            const struct param *weight = &g->param[n->param[0]];
            if (p->buffer)
                fill(shape_count(&p->shape), ends_in(p->key, "var") ? 1 : 0, to);
            else if (k == 0)
                initial_weight(n, p, seed, to);
            else if (has_fan(n))
                fill_uniform(p, seed, 1 / sqrt((double)(shape_count(&weight->shape)
                                                        / weight->shape.dim[0])), to);
            else
                fill(shape_count(&p->shape), 0, to);
        }
    }
}
