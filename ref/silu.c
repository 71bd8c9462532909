/* SiLU, or swish (arXiv 1702.03118):  y = x s(x), s(x) = 1 / (1 + exp(-x)) */
#include "row.h"

#include <tgmath.h>

void REF(silu_forward)(int64_t count, const real *input, real *output)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = input[i] / (1 + exp(-input[i]));
}

/* dy/dx = s (1 + x (1 - s)) */
void REF(silu_backward)(int64_t count, const real *input, const real *d_output, real *d_input)
{
    for (int64_t i = 0; i < count; i++) {
        real s = 1 / (1 + exp(-input[i]));
        d_input[i] += d_output[i] * s * (1 + input[i] * (1 - s));
    }
}

/* --- its row in the op table ------------------------------------------------ */

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(silu_forward)(shape_count(&n->shape), a->in[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    if (a->d_in[0])
        REF(silu_backward)(shape_count(&n->shape), a->in[0], d_output, a->d_in[0]);
}

const struct REF(op) REF(silu_op) = {
    .name = "silu", .inputs = {"input"}, .infer = infer_same, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
