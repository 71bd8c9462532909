/* The residual connection:  y = a + b */
#include "row.h"

void REF(add_forward)(int64_t count, const real *a, const real *b, real *output)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = a[i] + b[i];
}

void REF(add_backward)(int64_t count, const real *d_output, real *d_a, real *d_b)
{
    for (int64_t i = 0; i < count; i++) {
        if (d_a)
            d_a[i] += d_output[i];
        if (d_b)
            d_b[i] += d_output[i];
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    return check_shape(g, n, 1, &n->in[0]->shape) && infer_same(g, n);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(add_forward)(shape_count(&n->shape), a->in[0], a->in[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(add_backward)(shape_count(&n->shape), d_output, a->d_in[0], a->d_in[1]);
}

const struct REF(op) REF(add_op) = {
    .name = "add", .inputs = {"a", "b"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
