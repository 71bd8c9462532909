#include "build.h"

#include <stdio.h>

static struct node *one(struct graph *g, enum op_kind op, const char *name, struct attr a,
                        struct node *x)
{
    return graph_add(g, op, name, a, &x, 1);
}

static struct window centred(int kernel, int stride)
{
    return (struct window){
        .kernel = kernel, .stride = stride, .pad = (kernel - 1) / 2, .dilation = 1
    };
}

struct node *conv2d(struct graph *g, struct node *x, const char *name, int out, int kernel,
                    int stride, bool bias)
{
    struct attr a = attr_default();
    a.out_channels = out;
    a.y = a.x = centred(kernel, stride);
    a.bias = bias;
    return one(g, OP_conv2d, name, a, x);
}

struct node *dwconv2d(struct graph *g, struct node *x, const char *name, int kernel)
{
    struct attr a = attr_default();
    a.y = a.x = centred(kernel, 1);
    return one(g, OP_dwconv2d, name, a, x);
}

struct node *linear(struct graph *g, struct node *x, const char *name, int out, bool bias)
{
    struct attr a = attr_default();
    a.out_channels = out;
    a.bias = bias;
    return one(g, OP_linear, name, a, x);
}

struct node *layer_norm(struct graph *g, struct node *x, const char *name)
{
    return one(g, OP_layer_norm, name, attr_default(), x);
}

struct node *batch_norm(struct graph *g, struct node *x, const char *name, bool training)
{
    struct attr a = attr_default();
    a.eps = 1e-5;
    return one(g, training ? OP_batch_norm_train : OP_batch_norm, name, a, x);
}

struct node *unary(struct graph *g, enum op_kind op, struct node *x, const char *name)
{
    return one(g, op, name, attr_default(), x);
}

struct node *softmax(struct graph *g, struct node *x, const char *name, int points)
{
    struct attr a = attr_default();
    a.points = points;
    return one(g, OP_softmax, name, a, x);
}

struct node *constant(struct graph *g, struct node *x, const char *name, int channels, double value)
{
    struct attr a = attr_default();
    a.out_channels = channels;
    a.value = value;
    return one(g, OP_constant, name, a, x);
}

struct node *layer_scale(struct graph *g, struct node *x, const char *name, const char *key)
{
    struct node *n = one(g, OP_layer_scale, name, attr_default(), x);
    rename_param(g, n, 0, key);
    return n;
}

struct node *drop_path(struct graph *g, struct node *x, const char *name, double rate)
{
    char scale[NAME_SIZE];
    struct attr a = attr_default();
    if (rate == 0 || !x)
        return x;
    snprintf(scale, sizeof scale, "%s.scale", name);
    a.rate = rate;
    struct node *in[] = {x, graph_input(g, scale, shape_of(1, x->shape.dim[0]))};
    return graph_add(g, OP_drop_path, name, a, in, 2);
}

struct node *add(struct graph *g, struct node *a, struct node *b, const char *name)
{
    struct node *in[] = {a, b};
    return graph_add(g, OP_add, name, attr_default(), in, 2);
}

struct node *pixel_shuffle(struct graph *g, struct node *x, const char *name, int factor)
{
    struct attr a = attr_default();
    a.factor = factor;
    return one(g, OP_pixel_shuffle, name, a, x);
}
