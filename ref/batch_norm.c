/* Batch normalisation (arXiv 1502.03167) in inference, with stored statistics:
 *
 *   y = (x - mean[c]) / sqrt(var[c] + eps) * w[c] + b[c] */
#include "row.h"

#include <tgmath.h>

void REF(batch_norm_forward)(int64_t rows, int channels, double eps, const real *input,
                             const real *weight, const real *bias, const real *mean,
                             const real *variance, real *output)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int c = 0; c < channels; c++) {
            real h = (input[r * channels + c] - mean[c]) / sqrt(variance[c] + (real)eps);
            output[r * channels + c] = h * weight[c] + bias[c];
        }
    }
}

/* The statistics are constants: dL/dx = dL/dy w / sqrt(var + eps). */
void REF(batch_norm_backward)(int64_t rows, int channels, double eps, const real *input,
                              const real *weight, const real *mean, const real *variance,
                              const real *d_output, real *d_input, real *d_weight,
                              real *d_bias)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int c = 0; c < channels; c++) {
            int64_t i = r * channels + c;
            real inverse = 1 / sqrt(variance[c] + (real)eps);
            if (d_input)
                d_input[i] += d_output[i] * weight[c] * inverse;
            if (d_weight)
                d_weight[c] += d_output[i] * (input[i] - mean[c]) * inverse;
            if (d_bias)
                d_bias[c] += d_output[i];
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    struct shape per_channel = shape_of(1, shape_last(&n->in[0]->shape));
    n->shape = n->in[0]->shape;
    if (!(n->attr.eps >= 0))
        return refuse(g, n, "eps is %g", n->attr.eps);
    return node_param(g, n, "weight", per_channel, false)
        && node_param(g, n, "bias", per_channel, false)
        && node_param(g, n, "running_mean", per_channel, true)
        && node_param(g, n, "running_var", per_channel, true);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(batch_norm_forward)(shape_rows(&n->shape), (int)shape_last(&n->shape), n->attr.eps,
                            a->in[0], a->param[0], a->param[1], a->param[2], a->param[3], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(batch_norm_backward)(shape_rows(&n->shape), (int)shape_last(&n->shape), n->attr.eps,
                             a->in[0], a->param[0], a->param[2], a->param[3], d_output,
                             a->d_in[0], a->d_param[0], a->d_param[1]);
}

const struct REF(op) REF(batch_norm_op) = {
    .name = "batch_norm", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
