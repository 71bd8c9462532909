/* Sigmoid:  y = 1 / (1 + exp(-x)) */
#include "row.h"

#include <tgmath.h>

void REF(sigmoid_forward)(int64_t count, const real *input, real *output)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = 1 / (1 + exp(-input[i]));
}

/* dy/dx = y (1 - y), from the output. */
void REF(sigmoid_backward)(int64_t count, const real *output, const real *d_output, real *d_input)
{
    for (int64_t i = 0; i < count; i++) {
        d_input[i] += d_output[i] * output[i] * (1 - output[i]);
    }
}

/* --- its row in the op table ------------------------------------------------ */

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(sigmoid_forward)(shape_count(&n->shape), a->in[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    if (a->d_in[0])
        REF(sigmoid_backward)(shape_count(&n->shape), a->out, d_output, a->d_in[0]);
}

const struct REF(op) REF(sigmoid_op) = {
    .name = "sigmoid", .inputs = {"input"}, .infer = infer_same, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
