/* Products, norms and depthwise convolutions, with what they take along. */
#include "compile.h"
#include "onednn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- what a row-wise step takes along ------------------------------------------------ */

static const struct node *take_gelu(struct compiler *c, const struct node *n, bool *gelu)
{
    const struct node *r = only_reader(c, n, OP_gelu);
    *gelu = r != NULL;
    if (r)
        c->done[n->id] = true;
    return r ? r : n;
}

/* Layer scale: its factors are multiplied into `rows` of the weight and into the bias. */
static const struct node *take_scale(struct compiler *c, const struct node *n, float *weight,
                                     int64_t row, float *bias)
{
    const struct node *r = only_reader(c, n, OP_layer_scale);
    if (!r)
        return n;
    const float *gamma = param(c, r, 0);
    for (int64_t o = 0; o < shape_last(&n->shape); o++) {
        for (int64_t i = 0; i < row; i++)
            weight[o * row + i] *= gamma[o];
        bias[o] *= gamma[o];
    }
    c->done[n->id] = true;
    return r;
}

/* A residual whose other half has been computed already. */
static const struct node *take_residual(struct compiler *c, const struct node *n, struct step *s)
{
    struct node *r = only_reader(c, n, OP_add);
    const struct node *other = !r ? NULL : r->in[0] == n ? r->in[1] : r->in[0];
    if (!other || other == n || c->p->buffer_of[other->id] < 0)
        return n;
    s->residual = use(c, other);
    c->done[n->id] = true;
    return r;
}

/* --- products -------------------------------------------------------------------------- */

bool set_gemm(struct compiler *c, struct step *s, int n, int k, const float *weight,
                     const float *bias)
{
    const struct kernels *kernels = c->p->kernels;
    float *packed = plan_own(c->p, kernels->gemm_packed_size(n, k));
    float *own = bias ? own_copy(c, bias, n) : NULL;
    if (!packed || (bias && !own))
        return fail(c->error, EXIT_USAGE, "out of memory for packed weights");
    kernels->gemm_pack(n, k, weight, packed);
    s->gemm.n = n;
    s->gemm.k = k;
    s->gemm.packed = packed;
    s->gemm.bias = own;
    s->flops = 2.0 * (double)s->rows * n * k;
    return true;
}

/* The primitive lives as long as the plan. */
static bool keep_primitive(struct step *s, struct onednn *primitive)
{
    s->primitive = primitive;
    s->whole = true;
    s->run = run_onednn;
    return primitive != NULL;
}

bool set_product(struct compiler *c, struct step *s, int n, int k, const float *weight,
                 const float *bias)
{
    if (c->gemm == GEMM_OWN)
        return set_gemm(c, s, n, k, weight, bias);
    s->flops = 2.0 * (double)s->rows * n * k;
    return keep_primitive(s, onednn_product(s->rows, n, k, weight, bias, s->gemm.gelu,
                                            s->residual >= 0, c->p->threads,
                                            c->p->kernels->isa, c->error));
}

/* Rows 4096 bytes apart fall into one set of the L1 cache, which the next product, reading
 * many rows at once, would pay for: such rows get some padding. Not when values are kept
 * for inspection, and only where the reader is a product. */
static void emit_padded(struct compiler *c, struct step *s, const struct node *n)
{
    const int channels = (int)shape_last(&n->shape);
    const bool pad = c->gemm == GEMM_OWN && channels % 1024 == 0 && only_reader(c, n, OP_linear)
                  && !c->p->keep;
    emit(c, s, n);
    if (!pad)
        return;
    struct buffer *b = &c->p->buffer[s->out];
    b->ld = channels + 16;
    b->size = (size_t)shape_rows(&n->shape) * (size_t)b->ld;
}

/* Whether DCNv3 samples this value, and nobody else wants it as a plain tensor. */
static bool is_value(const struct compiler *c, const struct node *n)
{
    bool sampled = false;
    for (int i = 0; i < c->g->nodes; i++) {
        const struct node *r = c->g->node[i];
        for (int k = 0; k < r->inputs; k++) {
            if (r->in[k] != n)
                continue;
            sampled = sampled || (r->op == OP_dcnv3 && k == 0);
            if (!(r->op == OP_dcnv3 && k == 0) && !(r->op == OP_center_feature_scale && k == 1))
                return false;
        }
    }
    return sampled && n->shape.rank == 4 && c->gemm == GEMM_OWN;
}

/* The frame of a value tensor: its border is zeroed once, with the arena, so its memory is
 * shared with nothing but the frames of other layers of the same shape. */
static void emit_frame(struct compiler *c, struct step *s, const struct node *n)
{
    struct plan *p = c->p;
    const int batch = (int)n->shape.dim[0], height = (int)n->shape.dim[1];
    const int width = (int)n->shape.dim[2], channels = (int)n->shape.dim[3];
    const size_t size = frame_size(batch, height, width, channels);
    s->gemm.frame_height = height;
    s->gemm.frame_width = width;
    s->node = n;
    for (int i = 0; i < p->buffers && s->out < 0; i++)
        if (p->buffer[i].frame_height == height && p->buffer[i].frame_width == width
            && p->buffer[i].size == (size + 15) / 16 * 16)
            s->out = i;
    if (s->out < 0) {
        s->out = new_buffer(c, (int64_t)size);
        p->buffer[s->out].frame_height = height;
        p->buffer[s->out].frame_width = width;
        p->buffer[s->out].first = 0;
        p->buffer[s->out].last = INT32_MAX;
    }
    p->buffer_of[n->id] = s->out;
    c->done[n->id] = true;
    p->steps++;
}

bool compile_linear(struct compiler *c, const struct node *n)
{
    const int out = n->attr.out_channels, in = (int)shape_last(&n->in[0]->shape);
    struct step *s = new_step(c, run_gemm, "linear", n);
    float *weight = malloc((size_t)out * in * sizeof *weight);
    float *bias = calloc((size_t)out, sizeof *bias);
    bool ok = weight && bias;
    if (ok) {
        memcpy(weight, param(c, n, 0), (size_t)out * in * sizeof *weight);
        if (n->attr.bias)
            memcpy(bias, param(c, n, 1), (size_t)out * sizeof *bias);
        s->in[0] = use(c, n->in[0]);
        const struct node *last = take_gelu(c, n, &s->gemm.gelu);
        if (!s->gemm.gelu) {
            last = take_scale(c, last, weight, in, bias);
            last = take_residual(c, last, s);
        }
        s->kind = s->gemm.gelu ? "linear+gelu" : s->residual >= 0 ? "linear+residual" : "linear";
        ok = set_product(c, s, out, in, weight, bias);
        if (last == n && is_value(c, n))
            emit_frame(c, s, n);
        else
            emit_padded(c, s, last);
    }
    free(weight);
    free(bias);
    return ok || fail(c->error, EXIT_USAGE, "out of memory for '%s'", n->name);
}

/* Batch norm in inference is a scale and a shift per channel: into the weights. */
static const struct node *fold_batch_norm(struct compiler *c, const struct node *n, float *weight,
                                          int64_t row, float *bias)
{
    const struct node *r = only_reader(c, n, OP_batch_norm);
    if (!r)
        return n;
    for (int64_t o = 0; o < shape_last(&n->shape); o++) {
        const double by = param(c, r, 0)[o] / sqrt((double)param(c, r, 3)[o] + r->attr.eps);
        for (int64_t i = 0; i < row; i++)
            weight[o * row + i] = (float)(weight[o * row + i] * by);
        bias[o] = (float)((bias[o] - param(c, r, 2)[o]) * by + param(c, r, 1)[o]);
    }
    c->done[n->id] = true;
    return r;
}

static bool is_pointwise(const struct attr *a)
{
    return a->y.kernel == 1 && a->x.kernel == 1 && a->y.stride == 1 && a->x.stride == 1
        && a->y.pad == 0 && a->x.pad == 0;
}

/* weight: O, H, W, I. */
static bool set_conv(struct compiler *c, struct step *s, const struct node *n,
                     const float *weight, const float *bias)
{
    const struct shape *in = &n->in[0]->shape;
    const int k = s->in_channels * s->y.kernel * s->x.kernel, out = n->attr.out_channels;
    if (c->gemm == GEMM_OWN)
        return set_gemm(c, s, out, k, weight, bias);
    s->flops = 2.0 * (double)s->rows * out * k;
    s->scratch = 0;
    return keep_primitive(s, onednn_convolution(in->dim, out, s->y, s->x, weight, bias,
                                                s->gemm.gelu, c->p->threads,
                                                c->p->kernels->isa, c->error));
}

bool compile_conv(struct compiler *c, const struct node *n)
{
    const struct attr *a = &n->attr;
    const int in = (int)shape_last(&n->in[0]->shape), area = a->y.kernel * a->x.kernel;
    const int k = in * area, out = a->out_channels;
    if (a->groups != 1)
        return refuse_node(c, n, "it has weight groups");
    struct step *s = new_step(c, is_pointwise(a) ? run_gemm : run_conv, "conv", n);
    float *weight = malloc((size_t)out * k * sizeof *weight);
    float *bias = calloc((size_t)out, sizeof *bias);
    bool ok = weight && bias;
    if (ok) {
        for (int o = 0; o < out; o++)           /* OIHW to O, H, W, I: the order of windows */
            for (int i = 0; i < in; i++)
                for (int t = 0; t < area; t++)
                    weight[(size_t)o * k + (size_t)t * in + i] =
                        param(c, n, 0)[((size_t)o * in + i) * area + t];
        if (a->bias)
            memcpy(bias, param(c, n, 1), (size_t)out * sizeof *bias);
        s->in[0] = use(c, n->in[0]);
        s->y = a->y;
        s->x = a->x;
        s->in_channels = in;
        s->scratch = (size_t)k * CONV_ROWS;
        const struct node *last = fold_batch_norm(c, n, weight, k, bias);
        last = take_gelu(c, last, &s->gemm.gelu);
        ok = is_pointwise(a) ? set_product(c, s, out, k, weight, bias)
                             : set_conv(c, s, n, weight, bias);
        emit(c, s, last);
    }
    free(weight);
    free(bias);
    return ok || fail(c->error, EXIT_USAGE, "out of memory for '%s'", n->name);
}

/* --- norms and depthwise convolutions ---------------------------------------------------- */

static bool set_norm(struct compiler *c, struct step *s, const struct node *n, float **weight,
                     float **bias)
{
    *weight = own_copy(c, param(c, n, 0), shape_last(&n->shape));
    *bias = own_copy(c, param(c, n, 1), shape_last(&n->shape));
    s->weight = *weight;
    s->bias = *bias;
    s->eps = (float)n->attr.eps;
    return (*weight && *bias) || fail(c->error, EXIT_USAGE, "out of memory for '%s'", n->name);
}

bool compile_norm(struct compiler *c, const struct node *n)
{
    float *weight, *bias;
    struct step *s = new_step(c, run_layer_norm, "norm", n);
    if (!set_norm(c, s, n, &weight, &bias))
        return false;
    s->in[0] = use(c, n->in[0]);
    const struct node *last = take_gelu(c, n, &s->gelu);
    if (!s->gelu) {
        last = take_scale(c, last, weight, 1, bias);
        last = take_residual(c, last, s);
    }
    s->kind = s->gelu ? "norm+gelu" : s->residual >= 0 ? "norm+residual" : "norm";
    emit(c, s, last);
    return true;
}

bool compile_dwconv(struct compiler *c, const struct node *n)
{
    const struct attr *a = &n->attr;
    const int channels = (int)shape_last(&n->shape), area = a->y.kernel * a->x.kernel;
    if (a->y.kernel != a->x.kernel || a->y.kernel % 2 == 0 || a->y.stride != 1 || a->x.stride != 1
        || a->y.dilation != 1 || a->x.dilation != 1 || a->y.pad != a->y.kernel / 2
        || a->x.pad != a->x.kernel / 2)
        return refuse_node(c, n, "its window is not square, centred and of stride 1");
    struct step *s = new_step(c, run_dwconv, "dwconv", n);
    float *weight = plan_own(c->p, (size_t)channels * area), *norm_weight, *norm_bias;
    float *bias = own_copy(c, n->attr.bias ? param(c, n, 1) : NULL, channels);
    if (!weight || !bias)
        return fail(c->error, EXIT_USAGE, "out of memory for '%s'", n->name);
    for (int ch = 0; ch < channels; ch++)
        for (int t = 0; t < area; t++)
            weight[(size_t)t * channels + ch] = param(c, n, 0)[(size_t)ch * area + t];
    s->dwconv = (struct dwconv){
        .height = (int)n->shape.dim[1], .width = (int)n->shape.dim[2], .channels = channels,
        .kernel = a->y.kernel, .weight = weight, .bias = bias,
    };
    s->flops = 2.0 * (double)shape_count(&n->shape) * area;
    s->in[0] = use(c, n->in[0]);
    const struct node *last = n, *norm = only_reader(c, n, OP_layer_norm);
    if (norm) {
        if (!set_norm(c, s, norm, &norm_weight, &norm_bias))
            return false;
        c->done[n->id] = true;
        last = take_gelu(c, norm, &s->gelu);
        s->kind = "dwconv+norm+gelu";
    }
    emit(c, s, last);
    return true;
}
