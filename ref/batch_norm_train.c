/* Batch normalisation (arXiv 1502.03167) in training: per channel, over the rows r of the
 * batch (all images and pixels),
 *
 *   mean = 1/R sum_r x[r]    var = 1/R sum_r (x[r] - mean)^2
 *   h[r] = (x[r] - mean) / sqrt(var + eps)    y[r] = h[r] w + b
 *
 * The statistics depend on x:
 *
 *   dx[r] = w / sqrt(var + eps) (dy[r] - 1/R sum dy - h[r] 1/R sum dy h)
 *
 * The node is called like the one for inference and has the same parameters; the stored
 * statistics are moved by batch_norm_update() once per step. */
#include "row.h"

#include <tgmath.h>

static void moments(int64_t rows, int channels, int c, const real *x, real *mean, real *variance)
{
    real sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; r++)
        sum += x[r * channels + c];
    *mean = sum / (real)rows;
    for (int64_t r = 0; r < rows; r++) {
        real d = x[r * channels + c] - *mean;
        squares += d * d;
    }
    *variance = squares / (real)rows;
}

void REF(batch_norm_train_forward)(int64_t rows, int channels, double eps, const real *input,
                                   const real *weight, const real *bias, real *output)
{
    for (int c = 0; c < channels; c++) {
        real mean, variance;
        moments(rows, channels, c, input, &mean, &variance);
        for (int64_t r = 0; r < rows; r++) {
            real h = (input[r * channels + c] - mean) / sqrt(variance + (real)eps);
            output[r * channels + c] = h * weight[c] + bias[c];
        }
    }
}

void REF(batch_norm_train_backward)(int64_t rows, int channels, double eps, const real *input,
                                    const real *weight, const real *d_output, real *d_input,
                                    real *d_weight, real *d_bias)
{
    for (int c = 0; c < channels; c++) {
        real mean, variance, sum_d = 0, sum_dh = 0;
        moments(rows, channels, c, input, &mean, &variance);
        const real inverse = 1 / sqrt(variance + (real)eps);
        for (int64_t i = c; i < rows * channels; i += channels) {
            sum_d += d_output[i];
            sum_dh += d_output[i] * (input[i] - mean) * inverse;
        }
        for (int64_t i = c; d_input && i < rows * channels; i += channels) {
            real h = (input[i] - mean) * inverse;
            d_input[i] += weight[c] * inverse
                        * (d_output[i] - sum_d / (real)rows - h * sum_dh / (real)rows);
        }
        if (d_weight)
            d_weight[c] += sum_dh;
        if (d_bias)
            d_bias[c] += sum_d;
    }
}

void REF(batch_norm_update)(int64_t rows, int channels, double momentum, const real *input,
                            real *mean, real *variance)
{
    const real keep = (real)(1 - momentum), move = (real)momentum;
    for (int c = 0; c < channels; c++) {
        real m, v;
        moments(rows, channels, c, input, &m, &v);
        mean[c] = keep * mean[c] + move * m;
        variance[c] = keep * variance[c] + move * v * (real)rows / (real)(rows - 1);
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    struct shape per_channel = shape_of(1, shape_last(&n->in[0]->shape));
    n->shape = n->in[0]->shape;
    if (!(n->attr.eps >= 0) || shape_rows(&n->shape) < 2)
        return refuse(g, n, "eps is %g; a batch has %lld values per channel, at least 2 are needed",
                      n->attr.eps, (long long)shape_rows(&n->shape));
    return node_param(g, n, "weight", per_channel, false)
        && node_param(g, n, "bias", per_channel, false)
        && node_param(g, n, "running_mean", per_channel, true)
        && node_param(g, n, "running_var", per_channel, true);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(batch_norm_train_forward)(shape_rows(&n->shape), (int)shape_last(&n->shape), n->attr.eps,
                                  a->in[0], a->param[0], a->param[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(batch_norm_train_backward)(shape_rows(&n->shape), (int)shape_last(&n->shape), n->attr.eps,
                                   a->in[0], a->param[0], d_output, a->d_in[0], a->d_param[0],
                                   a->d_param[1]);
}

static double rows_terms(const struct node *n)
{
    return (double)shape_rows(&n->shape);
}

const struct REF(op) REF(batch_norm_train_op) = {
    .name = "batch_norm_train", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = rows_terms,
};
