/* ReLU:  y = max(x, 0); the derivative at 0 is 0, as PyTorch has it. */
#include "row.h"

void REF(relu_forward)(int64_t count, const real *input, real *output)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = input[i] > 0 ? input[i] : 0;
}

void REF(relu_backward)(int64_t count, const real *input, const real *d_output, real *d_input)
{
    for (int64_t i = 0; i < count; i++) {
        if (input[i] > 0)
            d_input[i] += d_output[i];
    }
}

/* --- its row in the op table ------------------------------------------------ */

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(relu_forward)(shape_count(&n->shape), a->in[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    if (a->d_in[0])
        REF(relu_backward)(shape_count(&n->shape), a->in[0], d_output, a->d_in[0]);
}

const struct REF(op) REF(relu_op) = {
    .name = "relu", .inputs = {"input"}, .infer = infer_same, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
