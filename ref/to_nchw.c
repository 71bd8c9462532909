/* Channels first, for an op with PyTorch's image layout; see to_nhwc.c. */
#include "row.h"

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    if (!check_rank(g, n, 0, 4))
        return false;
    n->shape = shape_of(4, in->dim[0], in->dim[3], in->dim[1], in->dim[2]);
    return true;
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    const struct shape *s = &n->shape;
    REF(transpose)((int)s->dim[0], s->dim[2] * s->dim[3], s->dim[1], a->in[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    const struct shape *s = &n->shape;
    const int64_t pixels = s->dim[2] * s->dim[3], channels = s->dim[1];
    for (int64_t b = 0; a->d_in[0] && b < s->dim[0]; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                a->d_in[0][(b * pixels + p) * channels + c] +=
                    d_output[(b * channels + c) * pixels + p];
}

const struct REF(op) REF(to_nchw_op) = {
    .name = "to_nchw", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
