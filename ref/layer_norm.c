/* Layer normalisation (arXiv 1607.06450) over the last dimension:
 *
 *   y = (x - mean) / sqrt(var + eps) * w + b,    var = mean((x - mean)^2) */
#include "row.h"

#include <tgmath.h>

/* Mean and 1 / sqrt(var + eps) of one row. */
static void moments(int channels, double eps, const real *x, real *mean, real *inverse)
{
    real sum = 0, squares = 0;
    for (int c = 0; c < channels; c++)
        sum += x[c];
    *mean = sum / (real)channels;
    for (int c = 0; c < channels; c++)
        squares += (x[c] - *mean) * (x[c] - *mean);
    *inverse = 1 / sqrt(squares / (real)channels + (real)eps);
}

void REF(layer_norm_forward)(int64_t rows, int channels, double eps, const real *input,
                             const real *weight, const real *bias, real *output)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *x = input + r * channels;
        real mean, inverse;
        moments(channels, eps, x, &mean, &inverse);
        for (int c = 0; c < channels; c++)
            output[r * channels + c] = (x[c] - mean) * inverse * weight[c] + bias[c];
    }
}

/* With h = (x - mean) * inverse and d = dL/dy * w:
 *   dL/dx = inverse * (d - mean(d) - h mean(d h)),  dL/dw = sum_r dL/dy h,
 *   dL/db = sum_r dL/dy */
void REF(layer_norm_backward)(int64_t rows, int channels, double eps, const real *input,
                              const real *weight, const real *d_output, real *d_input,
                              real *d_weight, real *d_bias)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *x = input + r * channels, *dy = d_output + r * channels;
        real mean, inverse, mean_d = 0, mean_dh = 0;
        moments(channels, eps, x, &mean, &inverse);
        for (int c = 0; c < channels; c++) {
            real h = (x[c] - mean) * inverse;
            mean_d += dy[c] * weight[c] / (real)channels;
            mean_dh += dy[c] * weight[c] * h / (real)channels;
        }
        for (int c = 0; c < channels; c++) {
            real h = (x[c] - mean) * inverse;
            if (d_input)
                d_input[r * channels + c] += inverse * (dy[c] * weight[c] - mean_d - h * mean_dh);
            if (d_weight)
                d_weight[c] += dy[c] * h;
            if (d_bias)
                d_bias[c] += dy[c];
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
        && node_param(g, n, "bias", per_channel, false);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(layer_norm_forward)(shape_rows(&n->shape), (int)shape_last(&n->shape), n->attr.eps,
                            a->in[0], a->param[0], a->param[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(layer_norm_backward)(shape_rows(&n->shape), (int)shape_last(&n->shape), n->attr.eps,
                             a->in[0], a->param[0], d_output, a->d_in[0], a->d_param[0],
                             a->d_param[1]);
}

static double terms(const struct node *n)
{
    return (double)shape_last(&n->shape);
}

const struct REF(op) REF(layer_norm_op) = {
    .name = "layer_norm", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = terms,
};
