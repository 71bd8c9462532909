/* The deformable operators and the layers they take along. */
#include "compile.h"

#include <stdlib.h>
#include <string.h>

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

void claim_modules(struct compiler *c)
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
    ok = ok && set_product(c, s, n, k, weight, bias);
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

bool compile_dcnv2(struct compiler *c, const struct node *n)
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

bool compile_dcnv3(struct compiler *c, const struct node *core)
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
