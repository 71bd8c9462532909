/* Layout changes: channels last, channels first. */
#include "row.h"


void REF(transpose)(int batch, int64_t rows, int64_t columns, const real *input, real *output)
{
    for (int n = 0; n < batch; n++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                output[(n * columns + c) * rows + r] = input[(n * rows + r) * columns + c];
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    if (!check_rank(g, n, 0, 4))
        return false;
    n->shape = shape_of(4, in->dim[0], in->dim[2], in->dim[3], in->dim[1]);
    return true;
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    const struct shape *s = &n->shape;
    REF(transpose)((int)s->dim[0], s->dim[3], s->dim[1] * s->dim[2], a->in[0], output);
}

/* The transposed gradient, added element by element: no room for a copy is needed. */
static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    const struct shape *s = &n->shape;
    const int64_t pixels = s->dim[1] * s->dim[2], channels = s->dim[3];
    for (int64_t b = 0; a->d_in[0] && b < s->dim[0]; b++)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < channels; c++)
                a->d_in[0][(b * channels + c) * pixels + p] +=
                    d_output[(b * pixels + p) * channels + c];
}

const struct REF(op) REF(to_nhwc_op) = {
    .name = "to_nhwc", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
