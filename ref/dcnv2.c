/* DCNv2: modulated deformable convolution (arXiv 1811.11168, equation 1); without
 * a mask DCNv1 (arXiv 1703.06211).
 *
 *   y(q) = b + sum_k  w_k * x( q + r_k + dr_k(q) ) * m_k(q)
 *
 * A full convolution whose taps k are moved by a learned offset dr and weighted by
 * a modulation m (a sigmoid, computed by the caller). x between pixels is bilinear,
 * outside of the image zero. Conventions are torchvision's: NCHW; taps row-major,
 * k = row * Kw + column; offset channels are (y, x) pairs; with offset groups, each
 * run of Ci/OG input channels has its own offsets and mask. DCNv3 differs in all of
 * these, see dcnv3.c. */
#include "row.h"

/* x between four pixels: the upper left one and the fractions. */
struct sample {
    int y0, x0;
    real ly, lx;
};

/* Index of tap k, offset group og at output pixel (oy, ox) in the mask; in the
 * offset, (y, x) are the channels 2c and 2c+1 where the mask has c. */
static size_t mask_at(const struct dcnv2_shape *s, int n, int og, int k, int oy, int ox)
{
    const int taps = s->y.kernel * s->x.kernel;
    size_t channel = ((size_t)n * s->offset_groups + og) * taps + k;
    return (channel * s->out_height + oy) * s->out_width + ox;
}

static size_t offset_at(const struct dcnv2_shape *s, int n, int og, int k, int oy, int ox)
{
    const int taps = s->y.kernel * s->x.kernel;
    size_t channel = 2 * (((size_t)n * s->offset_groups + og) * taps + k);
    return (channel * s->out_height + oy) * s->out_width + ox;
}

/* Where tap k of output pixel (oy, ox) lies; false when all corners are outside. */
static bool locate(const struct dcnv2_shape *s, int k, int oy, int ox, const real *offset,
                   struct sample *at)
{
    const size_t plane = (size_t)s->out_height * s->out_width;
    const int row = k / s->x.kernel, column = k % s->x.kernel;
    real y = (real)(oy * s->y.stride - s->y.pad + row * s->y.dilation) + offset[0];
    real x = (real)(ox * s->x.stride - s->x.pad + column * s->x.dilation) + offset[plane];
    if (!(y > -1 && x > -1 && y < (real)s->height && x < (real)s->width))
        return false;
    at->y0 = (int)floor(y);
    at->x0 = (int)floor(x);
    at->ly = y - (real)at->y0;
    at->lx = x - (real)at->x0;
    return true;
}

/* Pixel (y, x) of one channel's plane, zero outside of it. */
static real pixel(const struct dcnv2_shape *s, const real *plane, int y, int x)
{
    if (y < 0 || x < 0 || y >= s->height || x >= s->width)
        return 0;
    return plane[(size_t)y * s->width + x];
}

static real bilinear(const struct dcnv2_shape *s, const real *plane, const struct sample *at)
{
    const real hy = 1 - at->ly, hx = 1 - at->lx;
    return hy * hx * pixel(s, plane, at->y0, at->x0)
         + hy * at->lx * pixel(s, plane, at->y0, at->x0 + 1)
         + at->ly * hx * pixel(s, plane, at->y0 + 1, at->x0)
         + at->ly * at->lx * pixel(s, plane, at->y0 + 1, at->x0 + 1);
}

static const real *plane_of(const struct dcnv2_shape *s, const real *input, int n, int channel)
{
    return input + ((size_t)n * s->in_channels + channel) * s->height * s->width;
}

static real output_value(const struct dcnv2_shape *s, const real *input, const real *offset,
                         const real *mask, const real *weight, int n, int o, int oy, int ox)
{
    const int taps = s->y.kernel * s->x.kernel, channels = s->in_channels / s->groups;
    const int group = o / (s->out_channels / s->groups);
    real sum = 0;
    for (int i = 0; i < channels; i++) {
        int channel = group * channels + i, og = channel / (s->in_channels / s->offset_groups);
        const real *plane = plane_of(s, input, n, channel);
        for (int k = 0; k < taps; k++) {
            struct sample at;
            if (!locate(s, k, oy, ox, offset + offset_at(s, n, og, k, oy, ox), &at))
                continue;
            real m = mask ? mask[mask_at(s, n, og, k, oy, ox)] : 1;
            sum += weight[((size_t)o * channels + i) * taps + k] * m * bilinear(s, plane, &at);
        }
    }
    return sum;
}

void REF(dcnv2_forward)(const struct dcnv2_shape *s, const real *input, const real *offset,
                        const real *mask, const real *weight, const real *bias, real *output)
{
    for (int n = 0; n < s->batch; n++)
        for (int o = 0; o < s->out_channels; o++)
            for (int oy = 0; oy < s->out_height; oy++)
                for (int ox = 0; ox < s->out_width; ox++)
                    *output++ = output_value(s, input, offset, mask, weight, n, o, oy, ox)
                              + (bias ? bias[o] : 0);
}

/* --- backward ---------------------------------------------------------------
 *
 * With c = sum_o w[o, i, k] dL/dy[o], what tap k of channel i would receive if it
 * were a pixel, v its sampled value and m its modulation:
 *
 *   dL/dm  = sum_i c v          dL/dw[o, i, k] = sum_q dL/dy[o] m v
 *   dL/ddy = m sum_i c dv/dy    dL/dcorner = m c * (the corner's bilinear weight) */

struct gradients {
    const real *d_output;
    real *d_input, *d_offset, *d_mask, *d_weight;
};

static void scatter(const struct dcnv2_shape *s, real *plane, int y, int x, real value)
{
    if (y >= 0 && x >= 0 && y < s->height && x < s->width)
        plane[(size_t)y * s->width + x] += value;
}

/* dL/dy over the output channels that see input channel `channel`, through tap k;
 * on the way each of them leaves dL/dw. */
static real column_gradient(const struct dcnv2_shape *s, const struct gradients *d,
                            const real *weight, int n, int channel, int k, int oy, int ox,
                            real modulated)
{
    const int taps = s->y.kernel * s->x.kernel, channels = s->in_channels / s->groups;
    const int outputs = s->out_channels / s->groups, group = channel / channels;
    real sum = 0;
    for (int o = group * outputs; o < (group + 1) * outputs; o++) {
        size_t w = ((size_t)o * channels + channel % channels) * taps + k;
        size_t y = (((size_t)n * s->out_channels + o) * s->out_height + oy) * s->out_width + ox;
        sum += weight[w] * d->d_output[y];
        if (d->d_weight)
            d->d_weight[w] += d->d_output[y] * modulated;
    }
    return sum;
}

/* Tap k of one input channel at one output pixel: its share of every gradient. */
static void tap_backward(const struct dcnv2_shape *s, const struct gradients *d,
                         const real *input, const real *offset, const real *mask,
                         const real *weight, int n, int channel, int k, int oy, int ox)
{
    const int og = channel / (s->in_channels / s->offset_groups);
    const size_t at_mask = mask_at(s, n, og, k, oy, ox), at_offset = offset_at(s, n, og, k, oy, ox);
    const size_t out_plane = (size_t)s->out_height * s->out_width;
    const real *plane = plane_of(s, input, n, channel);
    struct sample at;
    if (!locate(s, k, oy, ox, offset + at_offset, &at))
        return;
    const real ly = at.ly, lx = at.lx, hy = 1 - ly, hx = 1 - lx, m = mask ? mask[at_mask] : 1;
    const real v1 = pixel(s, plane, at.y0, at.x0), v2 = pixel(s, plane, at.y0, at.x0 + 1);
    const real v3 = pixel(s, plane, at.y0 + 1, at.x0), v4 = pixel(s, plane, at.y0 + 1, at.x0 + 1);
    const real v = hy * hx * v1 + hy * lx * v2 + ly * hx * v3 + ly * lx * v4;
    const real c = column_gradient(s, d, weight, n, channel, k, oy, ox, m * v);
    if (d->d_mask)
        d->d_mask[at_mask] += c * v;
    if (d->d_offset) {
        d->d_offset[at_offset] += m * c * (hx * (v3 - v1) + lx * (v4 - v2));
        d->d_offset[at_offset + out_plane] += m * c * (hy * (v2 - v1) + ly * (v4 - v3));
    }
    if (d->d_input) {
        real *to = d->d_input + (plane - input);
        scatter(s, to, at.y0, at.x0, hy * hx * m * c);
        scatter(s, to, at.y0, at.x0 + 1, hy * lx * m * c);
        scatter(s, to, at.y0 + 1, at.x0, ly * hx * m * c);
        scatter(s, to, at.y0 + 1, at.x0 + 1, ly * lx * m * c);
    }
}

void REF(dcnv2_backward)(const struct dcnv2_shape *s, const real *input, const real *offset,
                         const real *mask, const real *weight, const real *d_output,
                         real *d_input, real *d_offset, real *d_mask, real *d_weight,
                         real *d_bias)
{
    const int taps = s->y.kernel * s->x.kernel;
    const struct gradients d = {d_output, d_input, d_offset, d_mask, d_weight};
    for (int n = 0; n < s->batch; n++)
        for (int channel = 0; channel < s->in_channels; channel++)
            for (int oy = 0; oy < s->out_height; oy++)
                for (int ox = 0; ox < s->out_width; ox++)
                    for (int k = 0; k < taps; k++)
                        tap_backward(s, &d, input, offset, mask, weight, n, channel, k, oy, ox);
    for (int n = 0; d_bias && n < s->batch; n++)
        for (int o = 0; o < s->out_channels; o++)
            for (int q = 0; q < s->out_height * s->out_width; q++)
                d_bias[o] += *d_output++;
}

/* --- its row in the op table ------------------------------------------------ */

static struct dcnv2_shape shape_from(const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    return (struct dcnv2_shape){
        .batch = (int)in->dim[0], .in_channels = (int)in->dim[1], .height = (int)in->dim[2],
        .width = (int)in->dim[3], .out_channels = a->out_channels,
        .out_height = window_positions((int)in->dim[2], a->y),
        .out_width = window_positions((int)in->dim[3], a->x), .groups = a->groups,
        .offset_groups = a->offset_groups, .y = a->y, .x = a->x,
    };
}

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    if (!check_window(g, n) || !check_rank(g, n, 0, 4) || !check_groups(g, n, in->dim[1]))
        return false;
    if (a->out_channels < 1 || a->out_channels % a->groups || a->offset_groups < 1
        || in->dim[1] % a->offset_groups)
        return refuse(g, n, "%lld to %d channels in %d groups and %d offset groups",
                      (long long)in->dim[1], a->out_channels, a->groups, a->offset_groups);
    struct dcnv2_shape s = shape_from(n);
    const int64_t out = s.out_channels, taps = (int64_t)s.y.kernel * s.x.kernel;
    struct shape weight = shape_of(4, out, in->dim[1] / s.groups, (int64_t)s.y.kernel,
                                   (int64_t)s.x.kernel);
    n->shape = shape_of(4, in->dim[0], out, (int64_t)s.out_height, (int64_t)s.out_width);
    struct shape mask = n->shape, offset = n->shape;
    mask.dim[1] = taps * s.offset_groups;
    offset.dim[1] = 2 * mask.dim[1];
    return check_positions(g, n, s.out_height, s.out_width) && check_shape(g, n, 1, &offset)
        && (n->inputs < 3 || check_shape(g, n, 2, &mask))
        && node_param(g, n, "weight", weight, false)
        && (!a->bias || node_param(g, n, "bias", shape_of(1, out), false));
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    struct dcnv2_shape s = shape_from(n);
    REF(dcnv2_forward)(&s, a->in[0], a->in[1], a->in[2], a->param[0], a->param[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    struct dcnv2_shape s = shape_from(n);
    REF(dcnv2_backward)(&s, a->in[0], a->in[1], a->in[2], a->param[0], d_output, a->d_in[0],
                        a->d_in[1], a->d_in[2], a->d_param[0], a->d_param[1]);
}

static double terms(const struct node *n)
{
    struct dcnv2_shape s = shape_from(n);
    return 4.0 * s.in_channels / s.groups * s.y.kernel * s.x.kernel;
}

/* As the plain convolution. */
static double macs(const struct node *n)
{
    return (double)shape_count(&n->shape) * terms(n) / 4;
}

const struct REF(op) REF(dcnv2_op) = {
    .name = "dcnv2", .inputs = {"input", "offset", "mask"}, .optional_inputs = 1, .infer = infer,
    .forward = forward, .backward = backward, .macs = macs, .terms = terms,
};
