/* Stochastic depth (arXiv 1603.09382), as timm's DropPath: y[n] = x[n] s[n], one factor per
 * sample, which the caller draws: 0 with probability `rate`, otherwise 1 / (1 - rate), so
 * that the mean stays. Graphs for inference have no such node. */
#include "row.h"

void REF(drop_path_forward)(int64_t samples, int64_t size, const real *input, const real *scale,
                            real *output)
{
    for (int64_t n = 0; n < samples; n++)
        for (int64_t i = 0; i < size; i++)
            output[n * size + i] = input[n * size + i] * scale[n];
}

void REF(drop_path_backward)(int64_t samples, int64_t size, const real *input, const real *scale,
                             const real *d_output, real *d_input, real *d_scale)
{
    for (int64_t n = 0; n < samples; n++) {
        for (int64_t i = n * size; i < (n + 1) * size; i++) {
            if (d_input)
                d_input[i] += d_output[i] * scale[n];
            if (d_scale)
                d_scale[n] += d_output[i] * input[i];
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    struct shape per_sample = shape_of(1, n->in[0]->shape.dim[0]);
    return infer_same(g, n) && check_shape(g, n, 1, &per_sample);
}

static int64_t samples_of(const struct node *n)
{
    return n->shape.dim[0];
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(drop_path_forward)(samples_of(n), shape_count(&n->shape) / samples_of(n), a->in[0],
                           a->in[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(drop_path_backward)(samples_of(n), shape_count(&n->shape) / samples_of(n), a->in[0],
                            a->in[1], d_output, a->d_in[0], a->d_in[1]);
}

const struct REF(op) REF(drop_path_op) = {
    .name = "drop_path", .inputs = {"input", "scale"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
