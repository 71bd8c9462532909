/* 2-D convolution, as torch.nn.Conv2d computes it (a cross-correlation):
 *
 *   y[n, oy, ox, o] = b[o] + sum_{ky, kx, i} w[o, i, ky, kx]
 *                            * x[n, oy sy - py + ky dy, ox sx - px + kx dx, i]
 *
 * x is zero outside of the image; with groups, output channel o sees only the
 * input channels of its own group. Activations NHWC, weight [Co, Ci/groups, Kh, Kw]. */
#include "row.h"

/* Row of input pixel behind window row k of output row o; may be outside. */
static int tap(struct window w, int o, int k)
{
    return o * w.stride - w.pad + k * w.dilation;
}

static bool outside(const struct conv2d_shape *s, int y, int x)
{
    return y < 0 || x < 0 || y >= s->height || x >= s->width;
}

/* First channel of pixel (y, x) that the group of output channel `o` sees. */
static size_t pixel_at(const struct conv2d_shape *s, int n, int y, int x, int o)
{
    size_t pixel = ((size_t)n * s->height + y) * s->width + x;
    int group = o / (s->out_channels / s->groups);
    return pixel * s->in_channels + (size_t)group * (s->in_channels / s->groups);
}

/* Weight of output channel o, window position (ky, kx), first input channel; the
 * next channel is Kh*Kw further. */
static size_t weight_at(const struct conv2d_shape *s, int o, int ky, int kx)
{
    size_t per_output = (size_t)(s->in_channels / s->groups) * s->y.kernel * s->x.kernel;
    return o * per_output + (size_t)ky * s->x.kernel + kx;
}

static real output_value(const struct conv2d_shape *s, const real *input, const real *weight,
                         int n, int oy, int ox, int o)
{
    const int channels = s->in_channels / s->groups, area = s->y.kernel * s->x.kernel;
    real sum = 0;
    for (int ky = 0; ky < s->y.kernel; ky++) {
        for (int kx = 0; kx < s->x.kernel; kx++) {
            int y = tap(s->y, oy, ky), x = tap(s->x, ox, kx);
            if (outside(s, y, x))
                continue;
            const real *in = input + pixel_at(s, n, y, x, o);
            const real *w = weight + weight_at(s, o, ky, kx);
            for (int i = 0; i < channels; i++)
                sum += in[i] * w[i * area];
        }
    }
    return sum;
}

void REF(conv2d_forward)(const struct conv2d_shape *s, const real *input, const real *weight,
                         const real *bias, real *output)
{
    for (int n = 0; n < s->batch; n++)
        for (int oy = 0; oy < s->out_height; oy++)
            for (int ox = 0; ox < s->out_width; ox++)
                for (int o = 0; o < s->out_channels; o++)
                    *output++ = output_value(s, input, weight, n, oy, ox, o)
                              + (bias ? bias[o] : 0);
}

/* One output value's share of both gradients: d_x += d w, d_w += d x. */
static void value_backward(const struct conv2d_shape *s, const real *input, const real *weight,
                           int n, int oy, int ox, int o, real d, real *d_input, real *d_weight)
{
    const int channels = s->in_channels / s->groups, area = s->y.kernel * s->x.kernel;
    for (int ky = 0; ky < s->y.kernel; ky++) {
        for (int kx = 0; kx < s->x.kernel; kx++) {
            int y = tap(s->y, oy, ky), x = tap(s->x, ox, kx);
            if (outside(s, y, x))
                continue;
            size_t in = pixel_at(s, n, y, x, o), w = weight_at(s, o, ky, kx);
            for (int i = 0; d_input && i < channels; i++)
                d_input[in + i] += d * weight[w + (size_t)i * area];
            for (int i = 0; d_weight && i < channels; i++)
                d_weight[w + (size_t)i * area] += d * input[in + i];
        }
    }
}

void REF(conv2d_backward)(const struct conv2d_shape *s, const real *input, const real *weight,
                          const real *d_output, real *d_input, real *d_weight, real *d_bias)
{
    for (int n = 0; n < s->batch; n++) {
        for (int oy = 0; oy < s->out_height; oy++) {
            for (int ox = 0; ox < s->out_width; ox++) {
                for (int o = 0; o < s->out_channels; o++) {
                    real d = *d_output++;
                    value_backward(s, input, weight, n, oy, ox, o, d, d_input, d_weight);
                    if (d_bias)
                        d_bias[o] += d;
                }
            }
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static struct conv2d_shape shape_from(const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    return (struct conv2d_shape){
        .batch = (int)in->dim[0], .height = (int)in->dim[1], .width = (int)in->dim[2],
        .in_channels = (int)in->dim[3], .out_channels = a->out_channels,
        .out_height = window_positions((int)in->dim[1], a->y),
        .out_width = window_positions((int)in->dim[2], a->x),
        .groups = a->groups, .y = a->y, .x = a->x,
    };
}

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    if (!check_window(g, n) || !check_rank(g, n, 0, 4) || !check_groups(g, n, in->dim[3]))
        return false;
    if (a->out_channels < 1 || a->out_channels % a->groups)
        return refuse(g, n, "%d output channels in %d groups", a->out_channels, a->groups);
    struct conv2d_shape s = shape_from(n);
    int64_t out = s.out_channels;
    n->shape = shape_of(4, in->dim[0], (int64_t)s.out_height, (int64_t)s.out_width, out);
    struct shape weight = shape_of(4, out, in->dim[3] / s.groups, (int64_t)s.y.kernel,
                                   (int64_t)s.x.kernel);
    return check_positions(g, n, s.out_height, s.out_width)
        && node_param(g, n, "weight", weight, false)
        && (!a->bias || node_param(g, n, "bias", shape_of(1, out), false));
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    struct conv2d_shape s = shape_from(n);
    REF(conv2d_forward)(&s, a->in[0], a->param[0], a->param[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    struct conv2d_shape s = shape_from(n);
    REF(conv2d_backward)(&s, a->in[0], a->param[0], d_output, a->d_in[0], a->d_param[0],
                         a->d_param[1]);
}

static double terms(const struct node *n)
{
    struct conv2d_shape s = shape_from(n);
    return (double)(s.in_channels / s.groups) * s.y.kernel * s.x.kernel;
}

static double macs(const struct node *n)
{
    return (double)shape_count(&n->shape) * terms(n);
}

const struct REF(op) REF(conv2d_op) = {
    .name = "conv2d", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = macs, .terms = terms,
};
