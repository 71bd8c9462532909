/* Depthwise convolution: a convolution with one input channel per group, see
 * conv2d.c. Weight [C, 1, Kh, Kw]. */
#include "row.h"

static struct conv2d_shape shape_from(const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    return (struct conv2d_shape){
        .batch = (int)in->dim[0], .height = (int)in->dim[1], .width = (int)in->dim[2],
        .in_channels = (int)in->dim[3], .out_channels = (int)in->dim[3],
        .out_height = window_positions((int)in->dim[1], a->y),
        .out_width = window_positions((int)in->dim[2], a->x),
        .groups = (int)in->dim[3], .y = a->y, .x = a->x,
    };
}

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    if (!check_window(g, n) || !check_rank(g, n, 0, 4))
        return false;
    struct conv2d_shape s = shape_from(n);
    n->shape = shape_of(4, in->dim[0], (int64_t)s.out_height, (int64_t)s.out_width, in->dim[3]);
    struct shape weight = shape_of(4, in->dim[3], (int64_t)1, (int64_t)s.y.kernel,
                                   (int64_t)s.x.kernel);
    return check_positions(g, n, s.out_height, s.out_width)
        && node_param(g, n, "weight", weight, false)
        && (!n->attr.bias || node_param(g, n, "bias", shape_of(1, in->dim[3]), false));
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
    return (double)n->attr.y.kernel * n->attr.x.kernel;
}

static double macs(const struct node *n)
{
    return (double)shape_count(&n->shape) * terms(n);
}

const struct REF(op) REF(dwconv2d_op) = {
    .name = "dwconv2d", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = macs, .terms = terms,
};
