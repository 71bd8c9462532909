/* From a graph to fused steps. Each node is visited in order; a node whose only reader
 * can be done in the same pass is taken along:
 *
 *   convolution (+ batch norm folded into the weights) (+ GELU)
 *   linear (+ GELU), or linear (+ layer scale folded into the weights) (+ residual)
 *   layer norm (+ GELU), or layer norm (+ layer scale folded in) (+ residual)
 *   depthwise convolution + layer norm + GELU
 *   offset and mask (and center feature scale) linear layers as one product
 *   softmax + tap set-up + DCNv3 (+ center feature scale)                          */
#include "plan_internal.h"
#include "ref/ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct compiler {
    struct plan *p;
    const struct graph *g;
    float *const *params;
    int *readers;               /* by node id */
    struct node **reader;       /* the last of them */
    bool *done;
    struct error *error;
};

/* --- buffers and steps ------------------------------------------------------------ */

static bool refuse_node(struct compiler *c, const struct node *n, const char *why)
{
    return fail(c->error, EXIT_NOT_BUILT, "%s '%s': %s; the fast side has no kernel for it",
                ref64_op_row(n->op)->name, n->name, why);
}

static int new_buffer(struct compiler *c, int64_t floats)
{
    struct plan *p = c->p;
    p->buffer[p->buffers] = (struct buffer){
        .size = (size_t)(floats + 15) / 16 * 16, .first = p->steps, .last = p->steps,
    };
    return p->buffers++;
}

static struct step *new_step(struct compiler *c, step_function *run, const char *kind,
                             const struct node *n)
{
    struct step *s = &c->p->step[c->p->steps];
    *s = (struct step){.run = run, .kind = kind, .node = n, .out = -1, .in = {-1, -1, -1},
                       .residual = -1, .scale_column = -1};
    s->rows = shape_rows(&n->shape);
    s->channels = (int)shape_last(&n->shape);
    return s;
}

/* The buffer of a node's value, kept alive until the step being built. */
static int use(struct compiler *c, const struct node *n)
{
    int index = c->p->buffer_of[n->id];
    if (index >= 0 && c->p->buffer[index].last < c->p->steps)
        c->p->buffer[index].last = c->p->steps;
    return index;
}

/* The step is complete; its result is the value of `n`. */
static void emit(struct compiler *c, struct step *s, const struct node *n)
{
    s->node = n;
    s->out = new_buffer(c, shape_count(&n->shape));
    c->p->buffer_of[n->id] = s->out;
    c->done[n->id] = true;
    c->p->steps++;
}

/* The only reader of a node's value when it is of kind `op`; NULL otherwise. */
static struct node *only_reader(const struct compiler *c, const struct node *n, enum op_kind op)
{
    struct node *r = c->readers[n->id] == 1 ? c->reader[n->id] : NULL;
    return r && r->op == op && !c->done[r->id] ? r : NULL;
}

static const float *param(const struct compiler *c, const struct node *n, int i)
{
    return i < n->params ? c->params[n->param[i]] : NULL;
}

static float *own_copy(struct compiler *c, const float *from, int64_t count)
{
    float *to = plan_own(c->p, (size_t)count);
    if (to && from)
        memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

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

/* Packs the weight [n, k]; takes its own copy of the bias. */
static bool set_gemm(struct compiler *c, struct step *s, int n, int k, const float *weight,
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

/* Rows 4096 bytes apart fall into one set of the L1 cache, which the next product, reading
 * many rows at once, would pay for: such rows get some padding. Not when values are kept
 * for inspection, and only where the reader is a product. */
static void emit_padded(struct compiler *c, struct step *s, const struct node *n)
{
    const int channels = (int)shape_last(&n->shape);
    const bool pad = channels % 1024 == 0 && only_reader(c, n, OP_linear) && !c->p->keep;
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
    return sampled && n->shape.rank == 4;
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

static bool compile_linear(struct compiler *c, const struct node *n)
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
        ok = set_gemm(c, s, out, in, weight, bias);
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

static bool compile_conv(struct compiler *c, const struct node *n)
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
        ok = set_gemm(c, s, out, k, weight, bias);
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

static bool compile_norm(struct compiler *c, const struct node *n)
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

static bool compile_dwconv(struct compiler *c, const struct node *n)
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

/* --- DCNv3 --------------------------------------------------------------------------------- */

/* The layers around one operator, see ref/internimage.c. */
struct dcn_module {
    const struct node *core, *offset, *softmax, *mask;
    const struct node *mix, *sigmoid, *logits;     /* center feature scale, or NULL */
};

static bool find_module(const struct compiler *c, const struct node *core, struct dcn_module *m)
{
    *m = (struct dcn_module){.core = core, .offset = core->in[1], .softmax = core->in[2]};
    m->mask = m->softmax->op == OP_softmax ? m->softmax->in[0] : NULL;
    if (m->offset->op != OP_linear || !m->mask || m->mask->op != OP_linear
        || m->mask->in[0] != m->offset->in[0] || c->readers[m->mask->id] != 1
        || c->readers[m->offset->id] != 1 || c->readers[m->softmax->id] != 1)
        return false;
    const struct node *mix = c->readers[core->id] == 1 ? c->reader[core->id] : NULL;
    if (!mix || mix->op != OP_center_feature_scale || mix->in[0] != core
        || mix->in[1] != core->in[0] || mix->in[2]->op != OP_sigmoid
        || mix->in[2]->in[0]->op != OP_linear || mix->in[2]->in[0]->in[0] != m->offset->in[0]
        || c->readers[mix->in[2]->id] != 1 || c->readers[mix->in[2]->in[0]->id] != 1)
        return true;
    m->mix = mix;
    m->sigmoid = mix->in[2];
    m->logits = mix->in[2]->in[0];
    return true;
}

/* Linear layers that a later dcnv3 node takes along must not become steps. */
static void claim_modules(struct compiler *c)
{
    struct dcn_module m;
    for (int i = 0; i < c->g->nodes; i++) {
        if (c->g->node[i]->op != OP_dcnv3 || !find_module(c, c->g->node[i], &m))
            continue;
        c->done[m.offset->id] = c->done[m.mask->id] = c->done[m.softmax->id] = true;
        if (m.mix)
            c->done[m.sigmoid->id] = c->done[m.logits->id] = true;
    }
}

/* Copies row `from` of a linear layer to row `to` of the combined one. */
static void copy_row(struct compiler *c, const struct node *n, int from, float *weight,
                     float *bias, int k, int to)
{
    memcpy(weight + (size_t)to * k, param(c, n, 0) + (size_t)from * k, (size_t)k * sizeof *weight);
    bias[to] = n->attr.bias ? param(c, n, 1)[from] : 0;
}

/* Offsets, modulation and center feature scale in one product, its rows ordered as the
 * sampling kernel reads them: x offsets, y offsets, logits, scale. */
static bool compile_branch(struct compiler *c, const struct dcn_module *m, int taps, int *buffer,
                           int *width)
{
    const struct node *q = m->offset->in[0];
    const int k = (int)shape_last(&q->shape), groups = m->core->attr.groups;
    const int n = 3 * taps + (m->mix ? groups : 0);
    struct step *s = new_step(c, run_gemm, "offset+mask", m->mask);
    float *weight = calloc((size_t)n * k, sizeof *weight), *bias = calloc((size_t)n, sizeof *bias);
    bool ok = weight && bias;
    for (int t = 0; ok && t < taps; t++) {
        copy_row(c, m->offset, 2 * t, weight, bias, k, t);
        copy_row(c, m->offset, 2 * t + 1, weight, bias, k, taps + t);
        copy_row(c, m->mask, t, weight, bias, k, 2 * taps + t);
    }
    for (int t = 0; ok && m->mix && t < groups; t++)
        copy_row(c, m->logits, t, weight, bias, k, 3 * taps + t);
    s->in[0] = use(c, q);
    ok = ok && set_gemm(c, s, n, k, weight, bias);
    s->out = new_buffer(c, s->rows * n + 64);   /* whole vectors are read past the end */
    *buffer = s->out;
    *width = n;
    c->p->steps++;
    free(weight);
    free(bias);
    return ok || fail(c->error, EXIT_USAGE, "out of memory for '%s'", m->offset->name);
}

/* Position of every tap in the frame at output pixel (0, 0), offsets left aside. */
static bool set_base(struct compiler *c, const struct node *core, int count, struct dcnv3_plan *d)
{
    const struct attr *a = &core->attr;
    const int cx = (a->x.dilation * (a->x.kernel - 1)) >> 1;
    const int cy = (a->y.dilation * (a->y.kernel - 1)) >> 1;
    const int middle = a->x.kernel / 2 * a->y.kernel + a->y.kernel / 2;
    float *x = plan_own(c->p, (size_t)round_up(d->taps, 16));
    float *y = plan_own(c->p, (size_t)round_up(d->taps, 16));
    for (int t = 0; x && y && t < count; t++) {
        const int p = t % d->points, k = a->remove_center && p >= middle ? p + 1 : p;
        x[t] = (float)(1 - a->x.pad + cx
                       + (k / a->y.kernel * a->x.dilation - cx) * a->offset_scale);
        y[t] = (float)(1 - a->y.pad + cy
                       + (k % a->y.kernel * a->y.dilation - cy) * a->offset_scale);
    }
    d->base_x = x;
    d->base_y = y;
    return (x && y) || fail(c->error, EXIT_USAGE, "out of memory for '%s'", core->name);
}

/* Copies a plain value into a frame of its own, in a step before the one that samples. */
static int compile_frame(struct compiler *c, const struct node *reader, int batch, int height,
                         int width, int channels)
{
    struct step *s = new_step(c, run_frame, "frame", reader);
    s->in[0] = use(c, reader->in[0]);
    s->rows = (int64_t)batch * height * width;
    s->dcnv2.height = height;
    s->dcnv2.width = width;
    s->dcnv2.channels = channels;
    s->out = new_buffer(c, (int64_t)frame_size(batch, height, width, channels));
    struct buffer *b = &c->p->buffer[s->out];
    b->frame_height = height;
    b->frame_width = width;
    b->first = 0;
    b->last = INT32_MAX;
    c->p->steps++;
    return s->out;
}

/* A bare operator: its offsets and modulations are values like others. */
static void compile_pack(struct compiler *c, const struct node *core, int taps, int *branch)
{
    struct step *s = new_step(c, run_pack, "pack", core);
    s->in[0] = use(c, core->in[1]);
    s->in[1] = use(c, core->in[2]);
    s->channels = taps;
    s->out = new_buffer(c, s->rows * 3 * taps + 64);
    *branch = s->out;
    c->p->steps++;
}

static bool compile_dcnv2(struct compiler *c, const struct node *n)
{
    const struct attr *a = &n->attr;
    const struct shape *in = &n->in[0]->shape;
    const int channels = (int)in->dim[1], taps = a->y.kernel * a->x.kernel;
    const int k = channels * taps, out = a->out_channels;
    if (a->groups != 1)
        return refuse_node(c, n, "it has weight groups");
    if (shape_count(in) / in->dim[0] > INT32_MAX / 2)
        return refuse_node(c, n, "an image has more than 2^30 values");
    const int frame = compile_frame(c, n, (int)in->dim[0], (int)in->dim[2], (int)in->dim[3],
                                    channels);
    struct step *s = new_step(c, run_dcnv2, "dcnv2", n);
    float *weight = malloc((size_t)out * k * sizeof *weight);
    for (int o = 0; weight && o < out; o++)     /* OIHW to O, H, W, I */
        for (int i = 0; i < channels; i++)
            for (int t = 0; t < taps; t++)
                weight[(size_t)o * k + (size_t)t * channels + i] =
                    param(c, n, 0)[((size_t)o * channels + i) * taps + t];
    s->dcnv2 = (struct dcnv2_plan){
        .channels = channels, .height = (int)in->dim[2], .width = (int)in->dim[3],
        .out_height = (int)n->shape.dim[2], .out_width = (int)n->shape.dim[3],
        .offset_groups = a->offset_groups, .kernel_y = a->y.kernel, .kernel_x = a->x.kernel,
        .stride_y = a->y.stride, .stride_x = a->x.stride, .pad_y = a->y.pad, .pad_x = a->x.pad,
        .dilation_y = a->y.dilation, .dilation_x = a->x.dilation,
    };
    s->rows = n->shape.dim[0] * n->shape.dim[2] * n->shape.dim[3];
    s->scratch = (size_t)DCNV2_ROWS * (size_t)(k + 16 + out);
    s->in[0] = frame;
    s->in[1] = use(c, n->in[1]);
    s->in[2] = n->inputs > 2 ? use(c, n->in[2]) : -1;
    bool ok = weight && set_gemm(c, s, out, k, weight, a->bias ? param(c, n, 1) : NULL);
    emit(c, s, n);
    free(weight);
    return ok || fail(c->error, EXIT_USAGE, "out of memory for '%s'", n->name);
}

static bool compile_dcnv3(struct compiler *c, const struct node *core)
{
    struct dcn_module m;
    const struct attr *a = &core->attr;
    const struct shape *in = &core->in[0]->shape;
    const int points = a->y.kernel * a->x.kernel - a->remove_center, count = a->groups * points;
    const bool module = find_module(c, core, &m);
    int branch, width = 3 * count, frame = c->p->buffer_of[core->in[0]->id];
    if (shape_count(in) / in->dim[0] > INT32_MAX)
        return refuse_node(c, core, "an image has more than 2^31 values");
    if (frame < 0 || !c->p->buffer[frame].frame_width)
        frame = compile_frame(c, core, (int)in->dim[0], (int)in->dim[1], (int)in->dim[2],
                              (int)in->dim[3]);
    if (!module)
        compile_pack(c, core, count, &branch);
    else if (!compile_branch(c, &m, count, &branch, &width))
        return false;
    struct step *s = new_step(c, run_dcnv3, !module ? "dcnv3" : m.mix ? "softmax+dcnv3+scale"
                                                                 : "softmax+dcnv3", core);
    s->dcnv3 = (struct dcnv3_plan){
        .height = (int)in->dim[1], .width = (int)in->dim[2],
        .out_height = (int)core->shape.dim[1], .out_width = (int)core->shape.dim[2],
        .groups = a->groups, .group_channels = (int)in->dim[3] / a->groups, .points = points,
        .taps = count, .stride_y = a->y.stride, .stride_x = a->x.stride,
        .offset_scale = (float)a->offset_scale, .softmax = module,
    };
    if (!set_base(c, core, count, &s->dcnv3))
        return false;
    s->in[0] = frame;
    s->in[1] = branch;
    c->p->buffer[branch].last = c->p->steps;
    s->branch = width;
    s->scale_column = m.mix ? 3 * s->dcnv3.taps : -1;
    s->scratch = dcnv3_scratch(&s->dcnv3);
    s->flops = 8.0 * points * (double)shape_count(&core->shape);
    c->done[core->id] = true;
    emit(c, s, m.mix ? m.mix : core);
    return true;
}

/* --- the rest -------------------------------------------------------------------------------- */

/* Steps that only read the values of their inputs. `over`: rows and channels of this. */
static bool compile_plain(struct compiler *c, const struct node *n, step_function *run,
                          const struct shape *over)
{
    struct step *s = new_step(c, run, ref64_op_row(n->op)->name, n);
    s->rows = shape_rows(over);
    s->channels = (int)shape_last(over);
    for (int i = 0; i < n->inputs && i < STEP_INPUTS; i++)
        s->in[i] = use(c, n->in[i]);
    if (n->op == OP_attention_pool)
        s->scratch = (size_t)(s->rows / n->shape.dim[0]);
    emit(c, s, n);
    return true;
}

/* An input of the graph is read where the caller has it. */
static bool compile_input(struct compiler *c, const struct node *n, int index)
{
    const int buffer = new_buffer(c, 0);
    c->p->buffer[buffer].input = index + 1;
    c->p->buffer_of[n->id] = buffer;
    return c->done[n->id] = true;
}

static int input_index(const struct compiler *c, const struct node *n)
{
    int index = 0;
    for (int i = 0; i < n->id; i++)
        index += c->g->node[i]->op == OP_input;
    return index;
}

static bool compile_to_nhwc(struct compiler *c, const struct node *n)
{
    if (n->in[0]->op != OP_input)
        return refuse_node(c, n, "it is not at the graph's input");
    struct step *s = new_step(c, run_to_nhwc, "to_nhwc", n);
    s->input = input_index(c, n->in[0]);
    emit(c, s, n);
    return true;
}

static bool compile_node(struct compiler *c, const struct node *n)
{
    switch (n->op) {
    case OP_input: return compile_input(c, n, input_index(c, n));
    case OP_to_nhwc: return compile_to_nhwc(c, n);
    case OP_dcnv2: return compile_dcnv2(c, n);
    case OP_linear: return compile_linear(c, n);
    case OP_conv2d: return compile_conv(c, n);
    case OP_dwconv2d: return compile_dwconv(c, n);
    case OP_layer_norm: return compile_norm(c, n);
    case OP_dcnv3: return compile_dcnv3(c, n);
    case OP_add: return compile_plain(c, n, run_add, &n->shape);
    case OP_gelu: case OP_sigmoid: return compile_plain(c, n, run_unary, &n->shape);
    case OP_softmax: return compile_plain(c, n, run_softmax, &n->shape);
    case OP_global_avg_pool: return compile_plain(c, n, run_mean, &n->in[0]->shape);
    case OP_attention_pool: return compile_plain(c, n, run_attention, &n->in[1]->shape);
    case OP_pixel_shuffle: return compile_plain(c, n, run_pixel_shuffle, &n->shape);
    default: return refuse_node(c, n, "it stands alone");
    }
}

static bool compile_all(struct compiler *c)
{
    const struct graph *g = c->g;
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i]->inputs; k++) {
            c->readers[g->node[i]->in[k]->id]++;
            c->reader[g->node[i]->in[k]->id] = g->node[i];
        }
    c->readers[g->node[g->nodes - 1]->id]++;    /* the caller */
    claim_modules(c);
    for (int i = 0; i < g->nodes; i++)
        if (!c->done[i] && !compile_node(c, g->node[i]))
            return false;
    c->p->buffer[c->p->buffer_of[g->node[g->nodes - 1]->id]].last = c->p->steps;
    return true;
}

bool plan_compile(struct plan *p, float *const *params, const struct plan_options *o,
                  struct error *e)
{
    const struct graph *g = p->graph;
    const size_t most = (size_t)g->nodes + 1;   /* a node makes at most three steps */
    struct compiler c = {.p = p, .g = g, .params = params, .error = e};
    p->step = calloc(3 * most, sizeof *p->step);
    p->buffer = calloc(3 * most, sizeof *p->buffer);
    p->buffer_of = malloc(most * sizeof *p->buffer_of);
    c.readers = calloc(most, sizeof *c.readers);
    c.reader = calloc(most, sizeof *c.reader);
    c.done = calloc(most, sizeof *c.done);
    bool ok = p->step && p->buffer && p->buffer_of && c.readers && c.reader && c.done;
    for (size_t i = 0; ok && i < most; i++)
        p->buffer_of[i] = -1;
    ok = ok ? compile_all(&c) : fail(e, EXIT_USAGE, "out of memory for a plan");
    for (int i = 0; ok && i < o->kept_count; i++)
        if (o->kept[i] && p->buffer_of[o->kept[i]->id] >= 0)
            p->buffer[p->buffer_of[o->kept[i]->id]].last = p->steps;
    free(c.readers);
    free(c.reader);
    free(c.done);
    return ok;
}
