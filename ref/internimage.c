/* InternImage (arXiv 2211.05778, section 3.2 and figure 3) as a graph.
 *
 * Node names are the module paths of the official PyTorch code and parameter
 * keys those of its checkpoints; values that are no module's output there carry
 * the names docs/formats.md lists. Inside, everything is NHWC. */
#include "internimage.h"
#include "build.h"

#include <stdio.h>

/* What the deformable layers of one level have in common. */
struct dcn_shape {
    int channels, groups, points;
    struct attr attr;                   /* of the operator */
};

static struct dcn_shape dcn_shape(const struct internimage_config *c, int channels, int groups)
{
    const int kernel = c->kernel_size;
    struct dcn_shape d = {channels, groups, kernel * kernel - (c->remove_center ? 1 : 0),
                          attr_default()};
    d.attr.y = d.attr.x = (struct window){.kernel = kernel, .stride = 1, .pad = (kernel - 1) / 2,
                                          .dilation = 1};
    d.attr.groups = groups;
    d.attr.offset_scale = c->offset_scale;
    d.attr.remove_center = c->remove_center;
    return d;
}

/* What offsets and modulation are computed from: depthwise convolution, norm, GELU. */
static struct node *offset_branch(struct graph *g, struct node *x,
                                  const struct internimage_config *c)
{
    x = dwconv2d(g, x, "dw_conv.0", c->dw_kernel_size ? c->dw_kernel_size : c->kernel_size);
    x = layer_norm(g, x, "dw_conv.1.1");
    return unary(g, OP_gelu, x, "dw_conv.2");
}

static struct node *offsets(struct graph *g, struct node *q, const struct internimage_config *c,
                            const struct dcn_shape *d)
{
    const int count = d->groups * d->points * 2;
    return c->fixed_offsets ? constant(g, q, "offset", count, 0)
                            : linear(g, q, "offset", count, true);
}

static struct node *modulation(struct graph *g, struct node *q, const struct internimage_config *c,
                               const struct dcn_shape *d)
{
    const int count = d->groups * d->points;
    if (c->modulation == MODULATION_NONE)
        return constant(g, q, "mask", count, 1.0 / d->points);
    struct node *mask = linear(g, q, "mask", count, true);
    if (c->modulation == MODULATION_SOFTMAX)
        return softmax(g, mask, "softmax", d->points);
    return c->modulation == MODULATION_SIGMOID ? unary(g, OP_sigmoid, mask, "sigmoid") : mask;
}

static struct node *center_feature_scale(struct graph *g, struct node *core, struct node *value,
                                         struct node *q, const struct dcn_shape *d)
{
    struct node *s = linear(g, q, "center_feature_scale_proj", d->groups, true);
    rename_param(g, s, 0, "center_feature_scale_proj_weight");
    rename_param(g, s, 1, "center_feature_scale_proj_bias");
    s = unary(g, OP_sigmoid, s, "center_feature_scale_sigmoid");
    return graph_add(g, OP_center_feature_scale, "center_feature_scale", d->attr,
                     (struct node *[]){core, value, s}, 3);
}

/* The ablation: each point's samples have a projection of their own, C x C. Core and
 * output_proj are then one DCNv2 operator with DCNv3's groups as offset groups, its weight
 * [C, C, K, K]. It numbers points by row and offsets (y, x): other names of the same
 * learned channels. */
static struct node *unshared_projection(struct graph *g, struct node *value, struct node *offset,
                                        struct node *mask, const struct dcn_shape *d)
{
    struct attr a = d->attr;
    a.out_channels = d->channels;
    a.offset_groups = d->groups;
    a.groups = 1;
    value = unary(g, OP_to_nchw, value, "value_nchw");
    offset = unary(g, OP_to_nchw, offset, "offset_nchw");
    mask = unary(g, OP_to_nchw, mask, "mask_nchw");
    struct node *y = graph_add(g, OP_dcnv2, "output_proj", a,
                               (struct node *[]){value, offset, mask}, 3);
    return unary(g, OP_to_nhwc, y, "output_nhwc");
}

/* The DCNv3 layer: a projection, the offset branch and its two linear layers, the operator,
 * and the projection out. */
struct node *dcnv3_module(struct graph *g, struct node *x, const struct internimage_config *c,
                          int channels, int groups)
{
    const struct dcn_shape d = dcn_shape(c, channels, groups);
    const bool constant = c->fixed_offsets && c->modulation == MODULATION_NONE;
    int scope = graph_enter(g, "dcn");

    struct node *value = linear(g, x, "input_proj", channels, true);
    struct node *q = constant && !c->center_feature_scale ? x : offset_branch(g, x, c);
    struct node *offset = offsets(g, q, c, &d);
    struct node *mask = modulation(g, q, c, &d);
    struct node *y = c->unshared ? unshared_projection(g, value, offset, mask, &d)
                                 : graph_add(g, OP_dcnv3, "core", d.attr,
                                             (struct node *[]){value, offset, mask}, 3);
    if (c->center_feature_scale)
        y = center_feature_scale(g, y, value, q, &d);
    if (!c->unshared)
        y = linear(g, y, "output_proj", channels, true);
    graph_leave(g, scope);
    return y;
}

static struct node *mlp(struct graph *g, struct node *x, int channels, double ratio)
{
    int scope = graph_enter(g, "mlp");
    x = linear(g, x, "fc1", (int)(channels * ratio), true);
    x = unary(g, OP_gelu, x, "act");
    x = linear(g, x, "fc2", channels, true);
    graph_leave(g, scope);
    return x;
}

/* One of a block's two branches, up to the addition. Where the norm sits is what
 * the variants differ in: before the branch (T), after it (S, B, L, XL, G), or
 * both (H: res-post-norm, which the official code ignores under layer scale). */
static struct node *branch(struct graph *g, struct node *x, const struct internimage_config *c,
                           int channels, int groups, int which, double drop_rate)
{
    char norm[32], res_norm[32], scale[32], gamma[32], drop[32];
    snprintf(norm, sizeof norm, "norm%d.0", which);
    snprintf(res_norm, sizeof res_norm, "res_post_norm%d.0", which);
    snprintf(scale, sizeof scale, "scale%d", which);
    snprintf(gamma, sizeof gamma, "gamma%d", which);
    snprintf(drop, sizeof drop, "drop_path%d", which);

    struct node *y = c->post_norm ? x : layer_norm(g, x, norm);
    y = which == 1 ? dcnv3_module(g, y, c, channels, groups) : mlp(g, y, channels, c->mlp_ratio);
    if (c->post_norm)
        y = layer_norm(g, y, norm);
    else if (c->res_post_norm && !c->layer_scale)
        y = layer_norm(g, y, res_norm);
    y = c->layer_scale ? layer_scale(g, y, scale, gamma) : y;
    return c->training ? drop_path(g, y, drop, drop_rate) : y;
}

/* Rate of a block, counted through all levels: linspace(0, rate, blocks). */
static double drop_rate_of(const struct internimage_config *c, int level, int index)
{
    int before = 0, blocks = 0;
    for (int i = 0; i < LEVELS; i++) {
        before += i < level ? c->depths[i] : 0;
        blocks += c->depths[i];
    }
    return blocks > 1 ? c->drop_path * (before + index) / (blocks - 1) : 0;
}

static struct node *block(struct graph *g, struct node *x, const struct internimage_config *c,
                          int channels, int groups, int level, int index)
{
    const double rate = drop_rate_of(c, level, index);
    char name[32];
    snprintf(name, sizeof name, "blocks.%d", index);
    int scope = graph_enter(g, "%s", name);
    struct node *y = branch(g, x, c, channels, groups, 1, rate);
    x = add(g, x, y, "residual1");
    y = branch(g, x, c, channels, groups, 2, rate);
    graph_leave(g, scope);
    return add(g, x, y, name);
}

static struct node *level(struct graph *g, struct node *x, const struct internimage_config *c,
                          int index)
{
    const int channels = c->channels << index;
    int scope = graph_enter(g, "levels.%d", index);
    for (int b = 0; b < c->depths[index]; b++) {
        x = block(g, x, c, channels, c->groups[index], index, b);
        for (int k = 0; index == 2 && k < c->post_norms; k++) {
            char name[32];
            snprintf(name, sizeof name, "post_norms.%d.0", k);
            if (c->post_norm_ids[k] == b)
                x = layer_norm(g, x, name);
        }
    }
    if (!c->post_norm || c->center_feature_scale)
        x = layer_norm(g, x, "norm.0");
    graph_leave(g, scope);
    return x;
}

/* 4x smaller: two strided convolutions. */
static struct node *stem(struct graph *g, struct node *image, int channels)
{
    struct node *x = unary(g, OP_to_nhwc, image, "input_nhwc");
    int scope = graph_enter(g, "patch_embed");
    x = conv2d(g, x, "conv1", channels / 2, 3, 2, true);
    x = layer_norm(g, x, "norm1.1");
    x = unary(g, OP_gelu, x, "act");
    x = conv2d(g, x, "conv2", channels, 3, 2, true);
    x = layer_norm(g, x, "norm2.1");
    graph_leave(g, scope);
    return x;
}

static struct node *downsample(struct graph *g, struct node *x, int index, int channels)
{
    int scope = graph_enter(g, "levels.%d.downsample", index);
    x = conv2d(g, x, "conv", 2 * channels, 3, 2, false);
    x = layer_norm(g, x, "norm.1");
    graph_leave(g, scope);
    return x;
}

/* T to XL: 1x1 convolution, batch norm, GELU, average, linear. */
static struct node *conv_head(struct graph *g, struct node *x, const struct internimage_config *c)
{
    const int channels = (int)((c->channels << 3) * 1.5);
    x = conv2d(g, x, "conv_head.0", channels, 1, 1, false);
    x = batch_norm(g, x, "conv_head.1.0", c->training);
    x = unary(g, OP_gelu, x, "conv_head.2");
    x = unary(g, OP_global_avg_pool, x, "pool");
    return linear(g, x, "head", c->num_classes, true);
}

/* A projection of the attention: its bias is a parameter of its own. */
static struct node *attention_linear(struct graph *g, struct node *x, const char *name, int out,
                                     const char *bias_key)
{
    x = linear(g, x, name, out, true);
    rename_param(g, x, 1, bias_key);
    return x;
}

/* H and G: the last two levels meet at stride 16; their mean token asks, all
 * tokens answer. */
static struct node *clip_head(struct graph *g, struct node *x3, struct node *x4,
                              const struct internimage_config *c)
{
    const int dim = c->clip_dim;
    x4 = conv2d(g, x4, "dcnv3_head_x4.0", 4 * dim, 1, 1, true);
    x4 = pixel_shuffle(g, x4, "dcnv3_head_x4.1", 2);
    x3 = conv2d(g, x3, "dcnv3_head_x3", dim, 1, 1, true);
    struct node *tokens = add(g, x4, x3, "dcnv3_head");

    int scope = graph_enter(g, "clip_projector");
    struct node *mean = unary(g, OP_global_avg_pool, tokens, "mean");
    struct node *q = layer_norm(g, mean, "norm1_q.0");
    struct node *k = layer_norm(g, tokens, "norm1_k.0");
    struct node *v = layer_norm(g, tokens, "norm1_v.0");
    int inner = graph_enter(g, "cross_dcn");
    q = attention_linear(g, q, "q", dim, "q_bias");
    k = attention_linear(g, k, "k", dim, "k_bias");
    v = attention_linear(g, v, "v", dim, "v_bias");
    struct attr a = attr_default();
    a.heads = c->clip_heads;
    struct node *z = graph_add(g, OP_attention_pool, "attention", a, (struct node *[]){q, k, v}, 3);
    z = linear(g, z, "proj", c->clip_out, true);
    graph_leave(g, inner);
    graph_leave(g, scope);
    z = layer_norm(g, z, "fc_norm.0");
    return linear(g, z, "head", c->num_classes, true);
}

struct graph *internimage_graph(const struct internimage_config *c, int batch, int height,
                                int width, struct error *e)
{
    struct graph *g = internimage_check(c, e) ? graph_new() : NULL;
    if (!g) {
        fail(e, EXIT_USAGE, "out of memory for a graph");
        return NULL;
    }
    struct node *image = graph_input(g, "input", shape_of(4, (int64_t)batch, (int64_t)3,
                                                          (int64_t)height, (int64_t)width));
    struct node *feature[LEVELS];
    struct node *x = stem(g, image, c->channels);
    for (int i = 0; i < LEVELS; i++) {
        feature[i] = level(g, x, c, i);
        x = i < 3 ? downsample(g, feature[i], i, c->channels << i) : feature[i];
    }
    x = c->clip_projector ? clip_head(g, feature[2], feature[3], c) : conv_head(g, x, c);
    if (x)
        return g;
    fail(e, EXIT_USAGE, "%s at %dx%d: %s", c->name, height, width, g->error.text);
    graph_free(g);
    return NULL;
}
