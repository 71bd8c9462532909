/* Layer and batch normalisation with switches for mistakes, and what can go wrong before
 * the first layer: the image. */
#include "verify/port/slips.h"

#include <math.h>
#include <stdlib.h>

/* Which values share one mean and variance: `sets` of `count` values, value i of set k at
 * set_start(k) + i * step. */
struct sets {
    int64_t sets, count, step, inner;
};

static struct sets sets_of(const struct slip *s, const struct node *n)
{
    const int64_t channels = shape_last(&n->shape), rows = shape_rows(&n->shape);
    const int64_t batch = n->shape.dim[0], pixels = rows / batch;
    if (slipped(s, LN07))               /* per channel, over the pixels of an image */
        return (struct sets){batch * channels, pixels, channels, channels};
    if (slipped(s, LN08))               /* over a whole image */
        return (struct sets){batch, pixels * channels, 1, 1};
    if (slipped(s, BN01))               /* over the batch */
        return (struct sets){channels, rows, channels, channels};
    return (struct sets){rows, channels, 1, 1};
}

static int64_t set_start(const struct sets *t, int64_t k)
{
    return k / t->inner * t->inner * t->count + k % t->inner;
}

/* Mean and variance of one set; sum of squares about the mean over count, or count - 1. */
static void statistics(const struct slip *s, const struct sets *t, const double *x, double *mean,
                       double *variance)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < t->count; i++)
        sum += x[i * t->step];
    *mean = slipped(s, LN09) ? 0 : sum / (double)t->count;
    for (int64_t i = 0; i < t->count; i++)
        square += (x[i * t->step] - *mean) * (x[i * t->step] - *mean);
    *variance = square / (double)(slipped(s, LN05) ? t->count - 1 : t->count);
}

static double deviation(const struct slip *s, const struct node *n, double variance)
{
    double eps = n->attr.eps;
    if (slipped(s, LN01))
        eps = 1e-5;
    if (slipped(s, LN02) || slipped(s, BN02))
        eps = 1e-3;
    if (slipped(s, LN03))
        eps = 1e-12;
    if (slipped(s, LN13))
        eps = 1e-6;
    return slipped(s, LN04) ? sqrt(variance) + eps : sqrt(variance + eps);
}

static double affine(const struct slip *s, const struct ref64_op_args *a, int64_t c, double v)
{
    if (slipped(s, LN06))
        return v;
    return v * a->param[0][c] + (slipped(s, LN10) ? 0 : a->param[1][c]);
}

bool slip_norm(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
               double *out, struct error *e)
{
    const int64_t channels = shape_last(&n->shape);
    const double *x = a->in[0];
    (void)e;
    if (slipped(s, LN12)) {
        for (int64_t i = 0; i < shape_count(&n->shape); i++)
            out[i] = x[i];
        return true;
    }
    if (n->op == OP_batch_norm && !slipped(s, BN01)) {
        for (int64_t i = 0; i < shape_count(&n->shape); i++) {
            int64_t c = i % channels;
            out[i] = affine(s, a, c, (x[i] - a->param[2][c]) / deviation(s, n, a->param[3][c]));
        }
        return true;
    }
    struct sets t = sets_of(s, n);
    for (int64_t k = 0; k < t.sets; k++) {
        double mean, variance;
        int64_t start = set_start(&t, k);
        statistics(s, &t, x + start, &mean, &variance);
        double d = deviation(s, n, variance);
        for (int64_t i = 0; i < t.count; i++) {
            int64_t at = start + i * t.step;
            out[at] = affine(s, a, at % channels, (x[at] - mean) / d);
        }
    }
    return true;
}

/* --- the image ------------------------------------------------------------------------ */

static const double image_mean[3] = {0.485, 0.456, 0.406}, image_std[3] = {0.229, 0.224, 0.225};

/* Channel c of the port's image, from the normalised pixel v[3]. */
static double image_value(const struct slip *s, const double *v, int c)
{
    double raw[3];
    for (int i = 0; i < 3; i++)
        raw[i] = v[i] * image_std[i] + image_mean[i];
    if (slipped(s, PP01))
        return (raw[2 - c] - image_mean[c]) / image_std[c];
    if (slipped(s, PP02))
        return v[2 - c];
    if (slipped(s, PP03))
        return raw[c];
    if (slipped(s, PP04))
        return 255 * raw[c];
    if (slipped(s, PP05))
        return (raw[c] - 0.5) / 0.5;
    if (slipped(s, PP06))
        return (255 * raw[c] - image_mean[c]) / image_std[c];
    return v[c];
}

void slip_image(const struct slip *s, int64_t pixels, const double *image, double *out)
{
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = image_value(s, image + 3 * i, c);
}
