/* Shapes and attributes of the reference ops. All sizes count elements. */
#ifndef REF_SHAPES_H
#define REF_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

/* What a sliding window does along one axis. */
struct window {
    int kernel, stride, pad, dilation;
};

/* DCNv3, all tensors NHWC. channels = groups * group_channels. */
struct dcnv3_shape {
    int batch, height, width;          /* input */
    int out_height, out_width;         /* output, offset and mask */
    int groups, group_channels;
    struct window y, x;                /* vertical and horizontal */
    bool remove_center;                /* leave out the window's middle point */
    double offset_scale;
};

/* DCNv2, all tensors NCHW. */
struct dcnv2_shape {
    int batch, in_channels, height, width;
    int out_channels, out_height, out_width;
    int groups;                        /* of the weight, as in a grouped convolution */
    int offset_groups;                 /* input channels that share one set of offsets */
    struct window y, x;
};

/* Plain convolution: NHWC activations, PyTorch's OIHW weight. */
struct conv2d_shape {
    int batch, in_channels, height, width;
    int out_channels, out_height, out_width;
    int groups;
    struct window y, x;
};

/* Number of positions a window takes along an axis of `size` elements; <= 0
 * when it does not fit. The formula of torch.nn.Conv2d. */
static inline int window_positions(int size, struct window w)
{
    int span = w.dilation * (w.kernel - 1) + 1;
    int room = size + 2 * w.pad - span;
    return room < 0 ? 0 : room / w.stride + 1;
}

/* Sampling points per output pixel and group. */
static inline int dcnv3_points(const struct dcnv3_shape *s)
{
    return s->y.kernel * s->x.kernel - (s->remove_center ? 1 : 0);
}

#endif
