/* DCNv2 and DCNv3 with every known mistake as a switch, written apart from ref/ so that the
 * definition stays free of them. Both ops share one sampler: they differ in the order of
 * points, pairs and axes, and in the weights. */
#include "verify/port/slips.h"

#include "datasets/half.h"

#include <math.h>
#include <stdlib.h>

struct sampler {
    const struct slip *slip;
    const struct ref64_op_args *args;
    bool v3;
    int batch, height, width, channels, out_height, out_width, out_channels;
    int groups, points;                 /* sets of offsets; points of each */
    int weight_groups;
    struct window y, x;
    double grid_scale, offset_scale;    /* on the regular window, on the learned offset */
    bool about_centre, remove_center;
};

/* One sampling point: up to four pixels, their weights, and the modulation. */
struct point {
    int64_t pixel[4];                   /* y * width + x, -1: outside */
    double weight[4], mask;
    int row, column;                    /* its place in the window */
};

static bool on(const struct sampler *s, enum mistake m)
{
    return slipped(s->slip, m);
}

/* --- where offsets and masks lie -------------------------------------------------- */

/* Value `channel` of `channels` at output pixel (oy, ox); zero beyond the array's end, where
 * a port that indexes wrongly would read whatever is there. */
static double at_pixel(const struct sampler *s, const double *array, int n, int oy, int ox,
                       int64_t channel, int64_t channels)
{
    const bool wrong = on(s, ST01);
    const int64_t height = wrong ? s->height : s->out_height;
    const int64_t width = wrong ? s->width : s->out_width;
    const int64_t total = (int64_t)s->batch * s->out_height * s->out_width * channels;
    int64_t at = s->v3 ? ((n * height + oy) * width + ox) * channels + channel
                       : ((n * channels + channel) * height + oy) * width + ox;
    return at < total ? array[at] : 0;
}

/* Slot of point p of group g among all groups * points. */
static int64_t slot(const struct sampler *s, int g, int p)
{
    return on(s, GR03) ? (int64_t)p * s->groups + g : (int64_t)g * s->points + p;
}

/* The learned offset along x (axis 0) or y (axis 1). */
static double offset_of(const struct sampler *s, int n, int oy, int ox, int g, int p, int axis)
{
    const int64_t sets = (int64_t)s->groups * s->points;
    int which = s->v3 ? axis : 1 - axis;
    int64_t channel;
    if (on(s, XY01))
        which = 1 - which;
    if (on(s, XY03) || (on(s, XY02) && on(s, GR03)))
        channel = which * sets + slot(s, g, p);
    else if (on(s, XY02))
        channel = (2 * (int64_t)g + which) * s->points + p;
    else
        channel = 2 * slot(s, g, p) + which;
    double value = at_pixel(s, s->args->in[1], n, oy, ox, channel, 2 * sets);
    return on(s, XY04) ? -value : value;
}

/* Which stored point belongs to (row, column) when points are counted the other way. */
static int other_order(const struct sampler *s, int row, int column)
{
    int k = s->v3 ? row * s->x.kernel + column : column * s->y.kernel + row;
    int middle = s->v3 ? s->y.kernel / 2 * s->x.kernel + s->x.kernel / 2
                       : s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    return s->remove_center && k > middle ? k - 1 : k;
}

static double raw_mask(const struct sampler *s, int n, int oy, int ox, int g, int p)
{
    return at_pixel(s, s->args->in[2], n, oy, ox, slot(s, g, p), (int64_t)s->groups * s->points);
}

static double mask_of(const struct sampler *s, int n, int oy, int ox, int g, int p, int row,
                      int column)
{
    if (!s->args->in[2] || on(s, MK06))
        return 1;
    double m = raw_mask(s, n, oy, ox, g, on(s, KP06) ? other_order(s, row, column) : p);
    if (on(s, MK08))
        return 1 / (1 + exp(-m));
    if (on(s, MK07)) {
        double sum = 0;
        for (int i = 0; i < s->points; i++)
            sum += exp(raw_mask(s, n, oy, ox, g, i));
        return exp(m) / sum;
    }
    return on(s, MK09) ? 2 * m : m;
}

/* --- where a point lies ------------------------------------------------------------ */

/* Row and column of stored point p; false when the port leaves it out. */
static bool place(const struct sampler *s, int p, int *row, int *column)
{
    const int middle = s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    const bool by_column = s->v3 != on(s, KP01);
    int k = s->remove_center && !on(s, RC01) && p >= middle ? p + 1 : p;
    if (on(s, RC02) && p == middle)
        return false;
    *row = by_column ? k % s->y.kernel : k / s->x.kernel;
    *column = by_column ? k / s->y.kernel : k % s->x.kernel;
    return true;
}

static double along(const struct sampler *s, struct window w, int out, int tap, double offset)
{
    double base = (double)out * w.stride - w.pad;
    int centre = s->v3 && s->about_centre ? (w.dilation * (w.kernel - 1)) >> 1 : 0;
    return base + centre - centre * s->grid_scale + tap * w.dilation * s->grid_scale
         + offset * s->offset_scale;
}

/* What normalising and denormalising with different rules does to a coordinate. */
static double through_grid(const struct sampler *s, double at, int size)
{
    if (on(s, AC01))
        at = (at + 0.5) * (size - 1) / size;
    else if (on(s, AC02))
        at = at * size / (size - 1) - 0.5;          /* NaN or infinite where size is 1 */
    else if (on(s, AC03))
        at += 0.5;
    else if (on(s, AC04))
        at -= 0.5;
    if (on(s, DT01))
        at = half_to_float(half_from_double(at));
    else if (on(s, DT02))
        at = bfloat16_to_float(bfloat16_from_double(at));
    return at;
}

static bool within(const struct sampler *s, double y, double x)
{
    if (on(s, BD01))
        return !isnan(y) && !isnan(x);
    if (on(s, BD02))
        return y >= 0 && x >= 0 && y < s->height && x < s->width;
    if (on(s, BD03))
        return y >= 0 && x >= 0 && y <= s->height - 1 && x <= s->width - 1;
    return y > -1 && x > -1 && y < s->height && x < s->width;
}

static void set_corner(const struct sampler *s, struct point *p, int i, int y, int x, double weight)
{
    bool inside = y >= 0 && x >= 0 && y < s->height && x < s->width;
    p->pixel[i] = inside ? (int64_t)y * s->width + x : -1;
    p->weight[i] = weight;
}

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Pixels and weights of the sample at (y, x). */
static void sample(const struct sampler *s, double y, double x, struct point *p)
{
    for (int i = 0; i < 4; i++)
        p->pixel[i] = -1;
    if (on(s, LY02))
        swap(&y, &x);
    if (!within(s, y, x))
        return;
    if (on(s, BD01) || on(s, BD02)) {               /* DCNv1 clamps beyond the last pixel */
        y = fmin(fmax(y, 0), s->height - 1);
        x = fmin(fmax(x, 0), s->width - 1);
    }
    if (on(s, SA01) || on(s, SA02)) {
        double half = on(s, SA01) ? 0.5 : 0;
        set_corner(s, p, 0, (int)floor(y + half), (int)floor(x + half), 1);
        return;
    }
    int y0 = (int)(on(s, SA03) ? trunc(y) : floor(y));
    int x0 = (int)(on(s, SA03) ? trunc(x) : floor(x));
    double ly = y - y0, lx = x - x0;
    if (on(s, SA05))
        swap(&ly, &lx);
    if (on(s, SA04)) {
        ly = 1 - ly;
        lx = 1 - lx;
    }
    set_corner(s, p, 0, y0, x0, (1 - ly) * (1 - lx));
    set_corner(s, p, 1, y0, x0 + 1, (1 - ly) * lx);
    set_corner(s, p, 2, y0 + 1, x0, ly * (1 - lx));
    set_corner(s, p, 3, y0 + 1, x0 + 1, ly * lx);
}

static void locate(const struct sampler *s, int n, int oy, int ox, int g, int k, struct point *p)
{
    for (int i = 0; i < 4; i++)
        p->pixel[i] = -1;
    p->row = p->column = 0;
    if (!place(s, k, &p->row, &p->column))
        return;
    double dx = offset_of(s, n, oy, ox, g, k, 0), dy = offset_of(s, n, oy, ox, g, k, 1);
    double x = through_grid(s, along(s, s->x, ox, p->column, dx), s->width);
    double y = through_grid(s, along(s, s->y, oy, p->row, dy), s->height);
    p->mask = mask_of(s, n, oy, ox, g, k, p->row, p->column);
    sample(s, y, x, p);
}

/* --- values -------------------------------------------------------------------------- */

static double pixel_value(const struct sampler *s, int n, int64_t pixel, int c)
{
    const int64_t area = (int64_t)s->height * s->width;
    const bool channels_last = s->v3 != on(s, LY01);
    return s->args->in[0][channels_last ? (n * area + pixel) * s->channels + c
                                        : ((int64_t)n * s->channels + c) * area + pixel];
}

static double value(const struct sampler *s, int n, int c, const struct point *p)
{
    double sum = 0;
    for (int i = 0; i < 4; i++)
        if (p->pixel[i] >= 0)
            sum += p->weight[i] * pixel_value(s, n, p->pixel[i], c);
    return sum;
}

/* The set of offsets that channel c follows. */
static int group_of(const struct sampler *s, int c)
{
    if (on(s, GR01))
        return 0;
    return on(s, GR02) ? c % s->groups : c / (s->channels / s->groups);
}

static double weight_of(const struct sampler *s, int o, int i, const struct point *p)
{
    const int taps = s->y.kernel * s->x.kernel, in = s->channels / s->weight_groups;
    int k = on(s, KP02) ? p->column * s->y.kernel + p->row : p->row * s->x.kernel + p->column;
    if (on(s, KP03))
        k = taps - 1 - k;
    int64_t at = ((int64_t)o * in + i) * taps + k;
    if (on(s, KP04))
        at = ((int64_t)i * s->out_channels + o) * taps + k;
    else if (on(s, KP05))
        at = ((int64_t)o * taps + k) * in + i;
    return s->args->param[0][at];
}

/* DCNv2: modulated samples [channels, points], then a product with the weights. */
static void weigh(const struct sampler *s, const struct point *point, const double *column,
                  double *out)
{
    const int in = s->channels / s->weight_groups, per = s->out_channels / s->weight_groups;
    for (int o = 0; o < s->out_channels; o++) {
        int group = on(s, GR04) ? o % s->weight_groups : o / per;
        const double *bias = s->args->param[1];
        out[o] = bias && !on(s, BI01) ? bias[o] : 0;
        for (int i = 0; i < in; i++)
            for (int k = 0; k < s->points; k++)
                out[o] += column[(group * in + i) * s->points + k] * weight_of(s, o, i, &point[k]);
    }
}

/* All channels of one output pixel. */
static void pixel_output(const struct sampler *s, int64_t pixel, struct point *point,
                         double *column, double *out)
{
    const int area = s->out_height * s->out_width;
    const int n = (int)(pixel / area), oy = (int)(pixel % area) / s->out_width;
    const int ox = (int)(pixel % s->out_width);
    for (int g = 0; g < s->groups; g++)
        for (int k = 0; k < s->points; k++)
            locate(s, n, oy, ox, g, k, &point[g * s->points + k]);
    for (int c = 0; c < s->channels; c++) {
        const struct point *p = point + (size_t)group_of(s, c) * s->points;
        double sum = 0;
        for (int k = 0; k < s->points; k++) {
            double v = p[k].pixel[0] < 0 && p[k].pixel[1] < 0 && p[k].pixel[2] < 0
                           && p[k].pixel[3] < 0 ? 0 : p[k].mask * value(s, n, c, &p[k]);
            sum += v;
            if (!s->v3)
                column[c * s->points + k] = v;
        }
        if (s->v3)
            out[c] = sum;
    }
    if (!s->v3)
        weigh(s, point, column, out);
}

static struct sampler sampler_of(const struct slip *slip, const struct node *n,
                                 const struct ref64_op_args *a)
{
    const struct shape *in = &n->in[0]->shape;
    const bool v3 = n->op == OP_dcnv3;
    struct sampler s = {
        .slip = slip, .args = a, .v3 = v3, .batch = (int)in->dim[0],
        .channels = (int)in->dim[v3 ? 3 : 1], .height = (int)in->dim[v3 ? 1 : 2],
        .width = (int)in->dim[v3 ? 2 : 3], .out_channels = (int)n->shape.dim[v3 ? 3 : 1],
        .out_height = (int)n->shape.dim[v3 ? 1 : 2], .out_width = (int)n->shape.dim[v3 ? 2 : 3],
        .groups = v3 ? n->attr.groups : n->attr.offset_groups, .weight_groups = n->attr.groups,
        .grid_scale = v3 ? n->attr.offset_scale : 1, .offset_scale = v3 ? n->attr.offset_scale : 1,
        .about_centre = true, .remove_center = v3 && n->attr.remove_center,
    };
    s.points = n->attr.y.kernel * n->attr.x.kernel - s.remove_center;
    slip_windows(slip, n, &s.y, &s.x);
    if (slipped(slip, SC01))
        s.grid_scale = s.offset_scale = 1;
    if (slipped(slip, SC02))
        s.offset_scale *= s.offset_scale;
    if (slipped(slip, SC03))
        s.offset_scale = 1;
    if (slipped(slip, SC04))
        s.grid_scale = 1;
    if (slipped(slip, SC05))
        s.about_centre = false;
    return s;
}

bool slip_dcn(const struct slip *slip, const struct node *n, const struct ref64_op_args *a,
              const int64_t *pixel, int64_t pixels, double *out, struct error *e)
{
    struct sampler s = sampler_of(slip, n, a);
    struct point *point = malloc((size_t)s.groups * s.points * sizeof *point);
    double *column = malloc((size_t)s.channels * s.points * sizeof *column);
    bool ok = point && column;
    for (int64_t i = 0; ok && i < pixels; i++)
        pixel_output(&s, pixel ? pixel[i] : i, point, column, out + i * s.out_channels);
    free(point);
    free(column);
    return ok || fail(e, EXIT_USAGE, "out of memory for the samples of '%s'", n->name);
}
