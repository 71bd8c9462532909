#include "verify/port/pattern.h"

#include "verify/port/layer_error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A tensor as images of channels: rows that are no images count as one image of width 1. */
struct view {
    const struct shape *shape;
    bool nchw;
    int64_t batch, height, width, channels;
};

static struct view view_of(const struct node *n)
{
    const struct shape *s = &n->shape;
    const bool nchw = n->op == OP_dcnv2 || n->op == OP_to_nchw || n->op == OP_input;
    if (s->rank != 4)
        return (struct view){s, false, 1, shape_rows(s), 1, shape_last(s)};
    return nchw ? (struct view){s, true, s->dim[0], s->dim[2], s->dim[3], s->dim[1]}
                : (struct view){s, false, s->dim[0], s->dim[1], s->dim[2], s->dim[3]};
}

static int64_t at(const struct view *v, int64_t n, int64_t y, int64_t x, int64_t c)
{
    return v->nchw ? ((n * v->channels + c) * v->height + y) * v->width + x
                   : ((n * v->height + y) * v->width + x) * v->channels + c;
}

/* Residual of output = factor * right + constant over `right`'s rms. */
static double residual(int64_t count, const double *output, const double *right, double factor,
                       double constant)
{
    double error = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = output[i] - factor * right[i] - constant;
        error += d * d;
        size += right[i] * right[i];
    }
    return size > 0 ? sqrt(error / size) : INFINITY;
}

static void find_affine(struct pattern *p, int64_t count, const double *output,
                        const double *right, double limit)
{
    double cross = 0, square = 0, sum = 0;
    for (int64_t i = 0; i < count; i++) {
        cross += output[i] * right[i];
        square += right[i] * right[i];
        sum += output[i] - right[i];
    }
    double factor = square > 0 ? cross / square : 0, constant = sum / (double)count;
    if (residual(count, output, right, factor, 0) <= 2 * limit)
        p->factor = factor;
    else if (residual(count, output, right, 1, constant) <= 2 * limit)
        p->constant = constant;
}

/* Whether the error of every channel is one constant. */
static bool constant_per_channel(const struct view *v, const double *output, const double *right,
                                 double allowed)
{
    for (int64_t c = 0; c < v->channels; c++) {
        double first = 0;
        for (int64_t n = 0; n < v->batch; n++)
            for (int64_t y = 0; y < v->height; y++)
                for (int64_t x = 0; x < v->width; x++) {
                    int64_t i = at(v, n, y, x, c);
                    double d = output[i] - right[i];
                    if (n + y + x == 0)
                        first = d;
                    if (!(fabs(d - first) <= 4 * allowed))
                        return false;
                }
    }
    return true;
}

/* Where values are off by more than `allowed`. */
static void find_region(struct pattern *p, const struct view *v, const double *output,
                        const double *right, double allowed)
{
    int64_t inside = 0, first = v->channels, last = -1;
    p->first_image = -1;
    for (int64_t n = 0; n < v->batch; n++) {
        bool touched = false;
        for (int64_t y = 0; y < v->height; y++)
            for (int64_t x = 0; x < v->width; x++)
                for (int64_t c = 0; c < v->channels; c++) {
                    int64_t i = at(v, n, y, x, c);
                    p->total++;
                    if (fabs(output[i] - right[i]) <= allowed)
                        continue;
                    touched = true;
                    p->wrong++;
                    inside += y > 0 && x > 0 && y < v->height - 1 && x < v->width - 1;
                    first = c < first ? c : first;
                    last = c > last ? c : last;
                }
        p->images += touched;
        p->first_image = touched && p->first_image < 0 ? (int)n : p->first_image;
    }
    p->border = p->wrong && !inside && v->height > 2 && v->width > 2;
    p->first_channel = first;
    p->channels = last - first + 1;
}

/* Error of output(y, x) against right(y + dy, x + dx), over the pixels where both exist. */
static double shifted(const struct view *v, const double *output, const double *right, int dy,
                      int dx)
{
    double error = 0, size = 0;
    for (int64_t n = 0; n < v->batch; n++)
        for (int64_t y = 2; y < v->height - 2; y++)
            for (int64_t x = 2; x < v->width - 2; x++)
                for (int64_t c = 0; c < v->channels; c++) {
                    double t = right[at(v, n, y + dy, x + dx, c)];
                    double d = output[at(v, n, y, x, c)] - t;
                    error += d * d;
                    size += t * t;
                }
    return size > 0 ? sqrt(error / size) : INFINITY;
}

static void find_shift(struct pattern *p, const struct view *v, const double *output,
                       const double *right, double limit)
{
    for (int dy = -2; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++)
            if ((dy || dx) && shifted(v, output, right, dy, dx) <= fmax(2 * limit, 1e-4)) {
                p->shift_y = dy;
                p->shift_x = dx;
            }
}

struct pattern pattern_of(const struct node *n, const double *output, const double *right,
                          double limit)
{
    struct pattern p = {0};
    const struct view v = view_of(n);
    const int64_t count = shape_count(&n->shape);
    double square = 0;
    int64_t zeros = 0;
    for (int64_t i = 0; i < count; i++) {
        zeros += output[i] == 0;
        if (isfinite(output[i]) || !isfinite(right[i]))
            square += isfinite(right[i]) ? right[i] * right[i] : 0;
        else if (p.bad++ == 0)
            p.bad_at = i;
    }
    double allowed = 8 * limit * sqrt(square / (double)count);
    p.zero = zeros == count && square > 0;
    if (p.bad || p.zero)
        return p;
    find_affine(&p, count, output, right, limit);
    find_region(&p, &v, output, right, allowed);
    p.per_channel = !p.factor && !p.constant && v.batch * v.height * v.width > 1
                 && constant_per_channel(&v, output, right, allowed);
    if (n->shape.rank == 4 && !p.factor && !p.constant && !p.per_channel)
        find_shift(&p, &v, output, right, limit);
    return p;
}

/* Groups of the node's channels, where it has such. */
static int64_t group_size(const struct node *n, const struct view *v)
{
    return n->op == OP_dcnv3 ? v->channels / n->attr.groups : 0;
}

const char *pattern_text(const struct node *n, const struct pattern *p, char *buffer, int size)
{
    const struct view v = view_of(n);
    char *to = buffer, *end = buffer + size, index[64];
    buffer[0] = 0;
#define SAY(...) (to += snprintf(to, (size_t)(end - to), __VA_ARGS__), to = to < end ? to : end - 1)
    if (p->bad) {
        SAY("%lld %s NaN or infinite, the first at %s.", (long long)p->bad,
            p->bad == 1 ? "value is" : "values are",
            index_text(&n->shape, p->bad_at, index, sizeof index));
        return buffer;
    }
    if (p->zero)
        SAY("Every value is zero: was the output ever written?");
    if (p->factor)
        SAY("The output is the right one times %.9g. ", p->factor);
    if (p->constant)
        SAY("The output is the right one plus %.6g. ", p->constant);
    if (p->per_channel)
        SAY("The error is one constant per channel, as of a missing or wrong bias. ");
    if (p->shift_y || p->shift_x)
        SAY("The output is the right one shifted by %d rows and %d columns. ", -p->shift_y,
            -p->shift_x);
    if (p->border)
        SAY("Only the outermost pixels are wrong. ");
    if (p->wrong && p->images < v.batch)
        SAY("Only %d of %lld images are wrong, the first is %d. ", p->images, (long long)v.batch,
            p->first_image);
    /* Most of the values in that run must be off, or the run means nothing. */
    if (p->channels < v.channels && p->wrong * v.channels * 2 > p->total * p->channels) {
        int64_t per = group_size(n, &v);
        SAY("Only channels %lld to %lld are wrong", (long long)p->first_channel,
            (long long)(p->first_channel + p->channels - 1));
        if (per)
            SAY(" (groups %lld to %lld)", (long long)(p->first_channel / per),
                (long long)((p->first_channel + p->channels - 1) / per));
        SAY(". ");
    }
    if (p->wrong)
        SAY("%.3g %% of the values are off.", 100.0 * (double)p->wrong / (double)p->total);
#undef SAY
    return buffer;
}
