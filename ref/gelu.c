/* GELU (arXiv 1606.08415), the exact form:  y = x/2 (1 + erf(x / sqrt 2)) = x Phi(x) */
#include "row.h"

#include <tgmath.h>

void REF(gelu_forward)(int64_t count, const real *input, real *output)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = (real)0.5 * input[i] * (1 + erf(input[i] * (real)0.70710678118654752440));
}

/* dy/dx = Phi(x) + x phi(x), with the density phi(x) = exp(-x^2/2) / sqrt(2 pi). */
void REF(gelu_backward)(int64_t count, const real *input, const real *d_output, real *d_input)
{
    for (int64_t i = 0; i < count; i++) {
        real x = input[i];
        real below = (real)0.5 * (1 + erf(x * (real)0.70710678118654752440));
        real density = (real)0.39894228040143267794 * exp(-(real)0.5 * x * x);
        d_input[i] += d_output[i] * (below + x * density);
    }
}

/* --- its row in the op table ------------------------------------------------ */

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(gelu_forward)(shape_count(&n->shape), a->in[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    if (a->d_in[0])
        REF(gelu_backward)(shape_count(&n->shape), a->in[0], d_output, a->d_in[0]);
}

const struct REF(op) REF(gelu_op) = {
    .name = "gelu", .inputs = {"input"}, .infer = infer_same, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
