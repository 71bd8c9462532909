/* Layer scale (arXiv 2103.17239): one learned factor per channel,  y = x gamma[c] */
#include "row.h"

void REF(layer_scale_forward)(int64_t rows, int channels, const real *input, const real *gamma,
                              real *output)
{
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++)
            output[r * channels + c] = input[r * channels + c] * gamma[c];
}

void REF(layer_scale_backward)(int64_t rows, int channels, const real *input, const real *gamma,
                               const real *d_output, real *d_input, real *d_gamma)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int c = 0; c < channels; c++) {
            int64_t i = r * channels + c;
            if (d_input)
                d_input[i] += d_output[i] * gamma[c];
            if (d_gamma)
                d_gamma[c] += d_output[i] * input[i];
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    n->shape = n->in[0]->shape;
    return node_param(g, n, "weight", shape_of(1, shape_last(&n->shape)), false);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(layer_scale_forward)(shape_rows(&n->shape), (int)shape_last(&n->shape), a->in[0],
                             a->param[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(layer_scale_backward)(shape_rows(&n->shape), (int)shape_last(&n->shape), a->in[0],
                              a->param[0], d_output, a->d_in[0], a->d_param[0]);
}

const struct REF(op) REF(layer_scale_op) = {
    .name = "layer_scale", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
