/* A constant where a network has a learned map: offsets of zero, equal modulation. Of its
 * input it takes only the leading dimensions; nothing depends on the input's values. */
#include "row.h"

void REF(constant_forward)(int64_t count, real value, real *output)
{
    for (int64_t i = 0; i < count; i++)
        output[i] = value;
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    if (n->attr.out_channels < 1)
        return refuse(g, n, "%d output channels", n->attr.out_channels);
    n->shape = n->in[0]->shape;
    n->shape.dim[n->shape.rank - 1] = n->attr.out_channels;
    return true;
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    (void)a;
    REF(constant_forward)(shape_count(&n->shape), (real)n->attr.value, output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    (void)n, (void)a, (void)d_output;
}

const struct REF(op) REF(constant_op) = {
    .name = "constant", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
