/* Linear layers, activations, softmax, sums and the small operators of the heads, with
 * switches for mistakes. */
#include "verify/port/slips.h"

#include <math.h>
#include <stdlib.h>

static void linear(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
                   double *out)
{
    const int64_t rows = shape_rows(&n->shape), from = shape_last(&n->in[0]->shape);
    const int64_t to = shape_last(&n->shape);
    const double *w = a->param[0];
    const bool transposed = slipped(s, LI01);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < to; o++) {
            double sum = a->param[1] && !slipped(s, BI01) ? a->param[1][o] : 0;
            for (int64_t i = 0; i < from; i++)
                sum += a->in[0][r * from + i] * w[transposed ? i * to + o : o * from + i];
            out[r * to + o] = sum;
        }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double activation(const struct slip *s, enum op_kind op, double x)
{
    if (slipped(s, GE01))
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    if (slipped(s, GE02))
        return x * sigmoid(1.702 * x);
    if (slipped(s, GE03))
        return x > 0 ? x : 0;
    if (slipped(s, GE04))
        return x * sigmoid(x);
    if (slipped(s, GE05))
        return x;
    switch (op) {
    case OP_gelu: return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case OP_relu: return x > 0 ? x : 0;
    case OP_silu: return x * sigmoid(x);
    default:      return sigmoid(x);
    }
}

/* Softmax over `count` values `step` apart. */
static void softmax_run(const double *x, double *y, int64_t count, int64_t step)
{
    double most = x[0], sum = 0;
    for (int64_t i = 1; i < count; i++)
        most = fmax(most, x[i * step]);
    for (int64_t i = 0; i < count; i++)
        sum += y[i * step] = exp(x[i * step] - most);
    for (int64_t i = 0; i < count; i++)
        y[i * step] /= sum;
}

static void softmax(const struct slip *s, const struct node *n, const double *x, double *y)
{
    const int64_t rows = shape_rows(&n->shape), last = shape_last(&n->shape);
    const int64_t points = n->attr.points, groups = last / points;
    for (int64_t r = 0; r < rows; r++, x += last, y += last) {
        if (slipped(s, MK01) || slipped(s, MK04) || slipped(s, MK05))
            for (int64_t i = 0; i < last; i++)
                y[i] = slipped(s, MK01) ? x[i] : sigmoid(x[i]) * (slipped(s, MK05) ? 2 : 1);
        else if (slipped(s, MK02))
            for (int64_t p = 0; p < points; p++)
                softmax_run(x + p, y + p, groups, points);
        else if (slipped(s, MK03))
            softmax_run(x, y, last, 1);
        else
            for (int64_t g = 0; g < groups; g++)
                softmax_run(x + g * points, y + g * points, points, 1);
    }
}

static void scale_channels(const struct slip *s, const struct node *n,
                           const struct ref64_op_args *a, double *out)
{
    const int64_t channels = shape_last(&n->shape);
    for (int64_t i = 0; i < shape_count(&n->shape); i++) {
        double gamma = a->param[0][i % channels];
        out[i] = a->in[0][i] * (slipped(s, MO03) ? 1 : slipped(s, MO04) ? 1 + gamma : gamma);
    }
}

static void center_feature_scale(const struct slip *s, const struct node *n,
                                 const struct ref64_op_args *a, double *out)
{
    const int64_t per = shape_last(&n->shape) / n->attr.groups;
    for (int64_t i = 0; i < shape_count(&n->shape); i++) {
        double mix = slipped(s, CF02) ? 0 : a->in[2][i / per];
        mix = slipped(s, CF01) ? 1 - mix : mix;
        out[i] = a->in[0][i] * (1 - mix) + a->in[1][i] * mix;
    }
}

static void pool(const struct slip *s, const struct node *n, const double *x, double *out)
{
    const struct shape *in = &n->in[0]->shape;
    const int64_t channels = shape_last(in), pixels = shape_rows(in) / in->dim[0];
    for (int64_t b = 0; b < in->dim[0]; b++)
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0, most = -INFINITY;
            for (int64_t p = 0; p < pixels; p++) {
                double v = x[(b * pixels + p) * channels + c];
                sum += v;
                most = fmax(most, v);
            }
            out[b * channels + c] = slipped(s, PO02) ? most
                                  : slipped(s, PO01) ? sum : sum / (double)pixels;
        }
}

static void pixel_shuffle(const struct slip *s, const struct node *n, const double *x, double *out)
{
    const struct shape *to = &n->shape;
    const int64_t r = n->attr.factor, channels = to->dim[3];
    for (int64_t i = 0; i < shape_count(to); i++) {
        int64_t c = i % channels, column = i / channels % to->dim[2];
        int64_t row = i / channels / to->dim[2] % to->dim[1];
        int64_t b = i / channels / to->dim[2] / to->dim[1];
        int64_t pixel = (b * (to->dim[1] / r) + row / r) * (to->dim[2] / r) + column / r;
        int64_t inner = row % r * r + column % r;
        out[i] = x[pixel * channels * r * r
                   + (slipped(s, PS01) ? inner * channels + c : c * r * r + inner)];
    }
}

/* Scores and weighted sum of one head; `score` has room for one value per token. */
static void attention_pool(const struct slip *s, const struct node *n,
                           const struct ref64_op_args *a, double *out)
{
    const struct shape *key = &n->in[1]->shape;
    const int64_t channels = shape_last(key), tokens = shape_rows(key) / key->dim[0];
    const int64_t heads = slipped(s, AT02) ? 1 : n->attr.heads, size = channels / heads;
    const double scale = slipped(s, AT01) ? 1 : 1 / sqrt((double)size);
    for (int64_t b = 0; b < key->dim[0]; b++)
        for (int64_t h = 0; h < heads; h++) {
            const double *q = a->in[0] + b * channels + h * size;
            double most = -INFINITY, sum = 0, *to = out + b * channels + h * size;
            for (int pass = 0; pass < 2; pass++)
                for (int64_t t = 0; t < tokens; t++) {
                    const int64_t at = (b * tokens + t) * channels + h * size;
                    double score = 0;
                    for (int64_t i = 0; i < size; i++)
                        score += q[i] * a->in[1][at + i] * scale;
                    if (pass == 0) {
                        most = fmax(most, score);
                        continue;
                    }
                    for (int64_t i = 0; i < size; i++)
                        to[i] = (t ? to[i] : 0) + exp(score - most) * a->in[2][at + i];
                    sum += exp(score - most);
                }
            for (int64_t i = 0; i < size; i++)
                to[i] /= sum;
        }
}

/* [N,C,P] to [N,P,C] or back; or the memory as it is. */
static void permute(const struct slip *s, const struct node *n, const double *x, double *out)
{
    const struct shape *in = &n->in[0]->shape;
    const bool from_nchw = n->op == OP_to_nhwc;
    const int64_t channels = in->dim[from_nchw ? 1 : 3];
    const int64_t pixels = shape_count(in) / in->dim[0] / channels;
    const int64_t rows = from_nchw ? channels : pixels, columns = from_nchw ? pixels : channels;
    for (int64_t i = 0; i < shape_count(in); i++) {
        int64_t b = i / (rows * columns), k = i % (rows * columns);
        int64_t at = b * rows * columns + k % columns * rows + k / columns;
        out[slipped(s, LY01) ? i : at] = x[i];
    }
}

void slip_rows(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
               double *out)
{
    const int64_t count = shape_count(&n->shape);
    switch (n->op) {
    case OP_linear: linear(s, n, a, out); break;
    case OP_softmax: softmax(s, n, a->in[0], out); break;
    case OP_layer_scale: scale_channels(s, n, a, out); break;
    case OP_center_feature_scale: center_feature_scale(s, n, a, out); break;
    case OP_global_avg_pool: pool(s, n, a->in[0], out); break;
    case OP_pixel_shuffle: pixel_shuffle(s, n, a->in[0], out); break;
    case OP_attention_pool: attention_pool(s, n, a, out); break;
    case OP_to_nhwc: case OP_to_nchw: permute(s, n, a->in[0], out); break;
    case OP_add:
        for (int64_t i = 0; i < count; i++)
            out[i] = (slipped(s, MO01) ? 0 : a->in[0][i]) + (slipped(s, MO02) ? 0 : a->in[1][i]);
        break;
    case OP_gelu: case OP_relu: case OP_silu: case OP_sigmoid:
        for (int64_t i = 0; i < count; i++)
            out[i] = activation(s, n->op, a->in[0][i]);
        break;
    default:                            /* nothing is known to go wrong */
        ref64_op_row(n->op)->forward(n, a, out);
    }
}
