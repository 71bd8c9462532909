/* Convolutions with switches for mistakes, and the windows that convolutions and
 * deformable convolutions share. */
#include "verify/port/slips.h"

#include <stdlib.h>

/* One of the four numbers of a window, along y and x: swapped, one for both, or none. The
 * mistakes of one number follow each other in the table. */
static void slip_number(const struct slip *s, enum mistake swapped, int none, int *y, int *x)
{
    const int a = *y, b = *x;
    if (slipped(s, swapped))
        *y = b, *x = a;
    else if (slipped(s, swapped + 1))
        *x = a;
    else if (slipped(s, swapped + 2))
        *y = b;
    else if (slipped(s, swapped + 3))
        *y = *x = none;
}

/* TensorFlow's SAME: as much as the output size needs, the odd pixel at the end. */
static int same_pad(int size, int out, struct window w)
{
    int needed = (out - 1) * w.stride + w.dilation * (w.kernel - 1) + 1 - size;
    return needed > 0 ? needed / 2 : 0;
}

void slip_windows(const struct slip *s, const struct node *n, struct window *y, struct window *x)
{
    const int64_t *in = n->in[0]->shape.dim, *out = n->shape.dim;
    const int row = n->op == OP_dcnv2 ? 2 : 1;      /* which dimension is the height */
    *y = n->attr.y;
    *x = n->attr.x;
    slip_number(s, AS11, 1, &y->stride, &x->stride);
    slip_number(s, AS21, 0, &y->pad, &x->pad);
    slip_number(s, AS31, 1, &y->dilation, &x->dilation);
    if (slipped(s, AS41)) {
        y->kernel = n->attr.x.kernel;
        x->kernel = n->attr.y.kernel;
    }
    if (slipped(s, AS51)) {
        y->pad = same_pad((int)in[row], (int)out[row], *y);
        x->pad = same_pad((int)in[row + 1], (int)out[row + 1], *x);
    }
}

struct conv {
    const struct slip *slip;
    const double *input, *weight, *bias;
    int batch, height, width, channels, out_height, out_width, out_channels, groups;
    struct window y, x;
    bool channels_first;                /* the port takes the memory for NCHW */
    bool depthwise;
};

static bool on(const struct conv *c, enum mistake m)
{
    return slipped(c->slip, m);
}

static int clamp(int v, int size)
{
    return v < 0 ? 0 : v >= size ? size - 1 : v;
}

static double pixel(const struct conv *c, int n, int y, int x, int channel)
{
    if (on(c, BD01)) {
        y = clamp(y, c->height);
        x = clamp(x, c->width);
    }
    if (y < 0 || x < 0 || y >= c->height || x >= c->width)
        return 0;
    const int64_t area = (int64_t)c->height * c->width, at = (int64_t)y * c->width + x;
    return c->input[c->channels_first ? ((int64_t)n * c->channels + channel) * area + at
                                      : (n * area + at) * c->channels + channel];
}

static int64_t weight_at(const struct conv *c, int o, int i, int row, int column)
{
    const int taps = c->y.kernel * c->x.kernel, in = c->channels / c->groups;
    int k = on(c, KP02) ? column * c->y.kernel + row : row * c->x.kernel + column;
    if (on(c, KP03))
        k = taps - 1 - k;
    if (on(c, KP04))
        return ((int64_t)i * c->out_channels + o) * taps + k;
    if (on(c, KP05))
        return ((int64_t)o * taps + k) * in + i;
    return ((int64_t)o * in + i) * taps + k;
}

static double value(const struct conv *c, int n, int oy, int ox, int o)
{
    const int in = c->channels / c->groups, per = c->out_channels / c->groups;
    const int group = on(c, GR04) ? o % c->groups : o / per;
    double sum = c->bias && !on(c, BI01) ? c->bias[o] : 0;
    for (int row = 0; row < c->y.kernel; row++)
        for (int column = 0; column < c->x.kernel; column++) {
            int y = oy * c->y.stride - c->y.pad + row * c->y.dilation;
            int x = ox * c->x.stride - c->x.pad + column * c->x.dilation;
            for (int i = 0; i < in; i++)
                sum += c->weight[weight_at(c, o, i, row, column)]
                     * pixel(c, n, y, x, group * in + i);
        }
    return sum;
}

/* The same from a result made at stride 1: its memory ([N,C,H,W]; depthwise, which is DCNv3's
 * branch, [N,H,W,C]) is read as if it had the strided size. */
static double value_reread(const struct conv *c, int n, int oy, int ox, int o)
{
    struct conv wide = *c;
    wide.y.stride = wide.x.stride = 1;
    const int64_t height = window_positions(c->height, wide.y);
    const int64_t width = window_positions(c->width, wide.x);
    const int64_t planes = c->depthwise ? 1 : c->out_channels, plane = c->depthwise ? 0 : o;
    const int64_t at = ((n * planes + plane) * c->out_height + oy) * c->out_width + ox;
    const int64_t image = at / width / height;
    if (image / planes >= c->batch)
        return 0;                       /* beyond the array's end, whatever is there */
    return value(&wide, (int)(image / planes), (int)(at / width % height), (int)(at % width),
                 c->depthwise ? o : (int)(image % planes));
}

bool slip_conv(const struct slip *slip, const struct node *n, const struct ref64_op_args *a,
               const int64_t *chosen, int64_t pixels, double *out, struct error *e)
{
    const struct shape *in = &n->in[0]->shape;
    struct conv c = {
        .slip = slip, .input = a->in[0], .weight = a->param[0], .bias = a->param[1],
        .batch = (int)in->dim[0], .height = (int)in->dim[1], .width = (int)in->dim[2],
        .channels = (int)in->dim[3],
        .out_height = (int)n->shape.dim[1], .out_width = (int)n->shape.dim[2],
        .out_channels = (int)n->shape.dim[3],
        .groups = n->op == OP_dwconv2d ? (int)in->dim[3] : n->attr.groups,
        .channels_first = slipped(slip, LY01), .depthwise = n->op == OP_dwconv2d,
    };
    double (*value_of)(const struct conv *, int, int, int, int) = slipped(slip, IO01)
                                                                ? value_reread : value;
    double *image = NULL;
    slip_windows(slip, n, &c.y, &c.x);
    if ((slip->first && slip->first->aspect == COLOUR)
        || (slip->second && slip->second->aspect == COLOUR)) {
        image = malloc((size_t)shape_count(in) * sizeof *image);
        if (!image)
            return fail(e, EXIT_USAGE, "out of memory for an image");
        slip_image(slip, shape_rows(in), a->in[0], image);
        c.input = image;
    }
    for (int64_t k = 0; k < pixels; k++) {
        int64_t at = chosen ? chosen[k] : k, area = (int64_t)c.out_height * c.out_width;
        for (int o = 0; o < c.out_channels; o++)
            *out++ = value_of(&c, (int)(at / area), (int)(at % area / c.out_width),
                              (int)(at % c.out_width), o);
    }
    free(image);
    return true;
}
