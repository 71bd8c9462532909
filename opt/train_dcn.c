/* The deformable operators, forward and backward, on frames (see kernels.h). */
#include "trainer_internal.h"

#include "onednn.h"

#include <omp.h>
#include <string.h>

/* --- frames --------------------------------------------------------------------------- */

/* One NHWC image into the inside of its frame, or the inside added to the image. */
static void to_frame(const float *image, int height, int width, int channels, float *frame)
{
    const size_t row = (size_t)width * channels, wide = row + 2 * (size_t)channels;
    memset(frame, 0, frame_size(1, height, width, channels) * sizeof *frame);
    for (int y = 0; y < height; y++)
        memcpy(frame + ((size_t)y + 1) * wide + channels, image + (size_t)y * row,
               row * sizeof *frame);
}

static void add_frame(const struct trainer *t, const float *frame, int height, int width,
                      int channels, float *image)
{
    const size_t row = (size_t)width * channels, wide = row + 2 * (size_t)channels;
    for (int y = 0; y < height; y++)
        t->kernels->add_to((int64_t)row, frame + ((size_t)y + 1) * wide + channels,
                           image + (size_t)y * row);
}

/* --- DCNv3 ----------------------------------------------------------------------------- */

static struct dcnv3_shape dcnv3_of(const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    return (struct dcnv3_shape){
        .batch = (int)in->dim[0], .height = (int)in->dim[1], .width = (int)in->dim[2],
        .out_height = (int)n->shape.dim[1], .out_width = (int)n->shape.dim[2],
        .groups = a->groups, .group_channels = (int)in->dim[3] / a->groups,
        .y = a->y, .x = a->x, .remove_center = a->remove_center, .offset_scale = a->offset_scale,
    };
}

/* Per thread: the kernel's own, a branch row, an image's frame and its gradient. */
static size_t dcnv3_floats(const struct dcnv3_shape *s)
{
    const int taps = s->groups * dcnv3_points(s);
    const size_t table = 8 * (size_t)round_up(taps, 16) + (size_t)s->groups + 64;
    return (table + 3 * (size_t)taps * s->out_width + 64
            + 2 * frame_size(1, s->height, s->width, s->groups * s->group_channels) + 31) / 16 * 16;
}

/* In front of them: the base positions, and every image's frame and gradient. */
static size_t dcnv3_scratch_size(const struct trainer *t, const struct node *n)
{
    const struct dcnv3_shape s = dcnv3_of(n);
    const size_t base = 2 * (size_t)round_up(s.groups * dcnv3_points(&s), 16) + 16;
    const size_t frames = 2 * (size_t)s.batch
                        * frame_size(1, s.height, s.width, s.groups * s.group_channels);
    const size_t threads = (size_t)t->threads * dcnv3_floats(&s);
    return base + (frames > threads ? frames : threads) + 64;
}

static void set_base(const struct dcnv3_shape *s, float *base_y, float *base_x)
{
    const int points = dcnv3_points(s), middle = s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    const int cx = (s->x.dilation * (s->x.kernel - 1)) >> 1;
    const int cy = (s->y.dilation * (s->y.kernel - 1)) >> 1;
    for (int k = 0; k < s->groups * points; k++) {
        const int p = k % points, tap = s->remove_center && p >= middle ? p + 1 : p;
        base_x[k] = (float)(1 - s->x.pad + cx
                            + (tap / s->y.kernel * s->x.dilation - cx) * s->offset_scale);
        base_y[k] = (float)(1 - s->y.pad + cy
                            + (tap % s->y.kernel * s->y.dilation - cy) * s->offset_scale);
    }
}

/* One output row's offsets and modulations, ordered as the kernel reads them. */
static void pack_row(int pixels, int taps, const float *offset, const float *mask, float *branch)
{
    for (int i = 0; i < pixels; i++, branch += 3 * taps, mask += taps)
        for (int k = 0; k < taps; k++, offset += 2) {
            branch[k] = offset[0];
            branch[taps + k] = offset[1];
            branch[2 * taps + k] = mask[k];
        }
}

static void dcnv3_image(const struct trainer *t, const struct dcnv3_plan *p,
                        const struct ref32_op_args *a, int64_t image, float *own, float *output)
{
    const int channels = p->groups * p->group_channels;
    const size_t table = ((size_t)round_up(p->taps, 16) * 6 + (size_t)p->groups + 64 + 15) / 16 * 16;
    float *branch = own + table, *frame = branch + 3 * (size_t)p->taps * p->out_width + 64;
    const int64_t pixels = (int64_t)p->out_height * p->out_width;
    to_frame(a->in[0] + image * p->height * p->width * channels, p->height, p->width, channels, frame);
    for (int y = 0; y < p->out_height; y++) {
        const int64_t q = image * pixels + (int64_t)y * p->out_width;
        pack_row(p->out_width, p->taps, a->in[1] + q * 2 * p->taps, a->in[2] + q * p->taps, branch);
        narrow_or(t, p->group_channels)->dcnv3(p, frame, branch, 3 * p->taps, y, y + 1, own, output + q * channels);
    }
}

static void dcnv3_forward(const struct trainer *t, const struct node *n,
                          const struct ref32_op_args *a, float *output)
{
    const struct dcnv3_shape s = dcnv3_of(n);
    const int points = dcnv3_points(&s), padded = round_up(s.groups * points, 16);
    float *base_y = t->scratch, *base_x = base_y + padded, *rest = base_x + padded;
    const struct dcnv3_plan p = {
        .height = s.height, .width = s.width, .out_height = s.out_height,
        .out_width = s.out_width, .groups = s.groups, .group_channels = s.group_channels,
        .points = points, .taps = s.groups * points, .stride_y = s.y.stride,
        .stride_x = s.x.stride, .offset_scale = (float)s.offset_scale, .base_y = base_y,
        .base_x = base_x,
    };
    memset(t->scratch, 0, 2 * (size_t)padded * sizeof(float));
    set_base(&s, base_y, base_x);
#pragma omp parallel for num_threads(t->threads)
    for (int i = 0; i < s.batch; i++)
        dcnv3_image(t, &p, a, i, rest + (size_t)omp_get_thread_num() * dcnv3_floats(&s), output);
}

/* Groups touch different channels, so (image, group) pairs go to threads freely. */
static void dcnv3_backward(const struct trainer *t, const struct node *n,
                           const struct ref32_op_args *a, const float *d_output)
{
    const struct dcnv3_shape s = dcnv3_of(n);
    const int channels = s.groups * s.group_channels, sets = s.groups * dcnv3_points(&s);
    const size_t size = frame_size(1, s.height, s.width, channels);
    const int64_t in = (int64_t)s.height * s.width * channels;
    const int64_t out = (int64_t)s.out_height * s.out_width;
    const int parts = s.batch >= t->threads ? 1 : s.groups;     /* of an image */
    float *frame = t->scratch, *d_frame = frame + size * (size_t)s.batch;
#pragma omp parallel num_threads(t->threads)
    {
#pragma omp for
        for (int i = 0; i < s.batch; i++) {
            to_frame(a->in[0] + i * in, s.height, s.width, channels, frame + i * size);
            memset(d_frame + i * size, 0, size * sizeof *d_frame);
        }
#pragma omp for
        for (int k = 0; k < s.batch * parts; k++) {
            const int i = k / parts, g0 = s.groups * (k % parts) / parts;
            const int g1 = s.groups * (k % parts + 1) / parts;
            narrow_or(t, s.group_channels)->dcnv3_backward(&s, g0, g1, frame + i * size, a->in[1] + i * out * 2 * sets,
                                       a->in[2] + i * out * sets, d_output + i * out * channels,
                                       d_frame + i * size, a->d_in[1] + i * out * 2 * sets,
                                       a->d_in[2] + i * out * sets);
        }
#pragma omp for
        for (int i = 0; i < s.batch; i++)
            add_frame(t, d_frame + i * size, s.height, s.width, channels, a->d_in[0] + i * in);
    }
}

const struct fast_op dcnv3_fast = {dcnv3_forward, dcnv3_backward, dcnv3_scratch_size, NULL, false};

/* --- DCNv2: one image at a time, a block of sampled rows and its products -------------- */

enum { BLOCK_TILES = 16, BLOCK = BLOCK_TILES * DCNV2_ROWS };

struct dcnv2 {
    struct dcnv2_plan plan;
    int out, k, taps;
    int64_t batch, pixels;
    size_t frame;                       /* floats */
    bool has_mask;
    float *weight, *d_weight, *rows, *products, *image, *d_image;   /* in the scratch */
};

static struct dcnv2 dcnv2_of(const struct trainer *t, const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    struct dcnv2 d = {
        .plan = {
            .channels = (int)in->dim[1], .height = (int)in->dim[2], .width = (int)in->dim[3],
            .out_height = (int)n->shape.dim[2], .out_width = (int)n->shape.dim[3],
            .offset_groups = a->offset_groups, .kernel_y = a->y.kernel, .kernel_x = a->x.kernel,
            .stride_y = a->y.stride, .stride_x = a->x.stride, .pad_y = a->y.pad,
            .pad_x = a->x.pad, .dilation_y = a->y.dilation, .dilation_x = a->x.dilation,
        },
        .out = a->out_channels, .taps = a->y.kernel * a->x.kernel, .batch = in->dim[0],
        .has_mask = n->inputs > 2,
    };
    d.k = d.plan.channels * d.taps;
    d.pixels = (int64_t)d.plan.out_height * d.plan.out_width;
    d.frame = frame_size(1, d.plan.height, d.plan.width, d.plan.channels);
    d.weight = t->scratch;
    d.d_weight = d.weight + (size_t)d.out * d.k;
    d.rows = d.d_weight + (size_t)d.out * d.k;
    d.products = d.rows + (size_t)BLOCK * d.k;
    d.image = d.products + (size_t)BLOCK * d.out;
    d.d_image = d.image + d.frame;              /* one per thread */
    return d;
}

static size_t dcnv2_scratch(const struct trainer *t, const struct node *n)
{
    const struct dcnv2 d = dcnv2_of(t, n);
    return 2 * (size_t)d.out * d.k + (size_t)BLOCK * (size_t)(d.k + d.out)
         + d.frame * (size_t)(1 + t->threads) + 64;
}

static bool dcnv2_fits(const struct node *n)
{
    return n->attr.groups == 1
        && shape_count(&n->in[0]->shape) / n->in[0]->shape.dim[0] < INT32_MAX / 2;
}

/* OIHW to O, H, W, I, or its gradient back (added). */
static void reorder_weight(const struct dcnv2 *d, const float *from, float *to, bool back)
{
    for (int o = 0; o < d->out; o++)
        for (int i = 0; i < d->plan.channels; i++)
            for (int p = 0; p < d->taps; p++) {
                const size_t oihw = ((size_t)o * d->plan.channels + i) * d->taps + p;
                const size_t ohwi = (size_t)o * d->k + (size_t)p * d->plan.channels + i;
                if (back)
                    to[oihw] += from[ohwi];
                else
                    to[ohwi] = from[oihw];
            }
}

/* An NCHW image into its frame, or the frame added to the image. */
static void exchange(const struct dcnv2 *d, float *image, float *frame, bool back)
{
    const struct dcnv2_plan *p = &d->plan;
    const size_t plane = (size_t)p->height * p->width;
    if (!back)
        memset(frame, 0, d->frame * sizeof *frame);
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            float *at = frame + (((size_t)y + 1) * (p->width + 2) + x + 1) * p->channels;
            float *from = image + (size_t)y * p->width + x;
            for (int c = 0; c < p->channels; c++) {
                if (back)
                    from[c * plane] += at[c];
                else
                    at[c] = from[c * plane];
            }
        }
}

/* Samples rows [first, first + count) of one image. */
static void sample(const struct trainer *t, const struct dcnv2 *d, const float *offset,
                   const float *mask, int first, int count)
{
    const int tiles = (count + DCNV2_ROWS - 1) / DCNV2_ROWS;
#pragma omp parallel for num_threads(t->threads)
    for (int i = 0; i < tiles; i++) {
        const int at = i * DCNV2_ROWS, rows = count - at < DCNV2_ROWS ? count - at : DCNV2_ROWS;
        t->kernels->dcnv2(&d->plan, d->image, offset, mask, first + at, rows,
                          d->rows + (size_t)at * d->k, d->k);
    }
}

static void dcnv2_forward(const struct trainer *t, const struct node *n,
                          const struct ref32_op_args *a, float *output)
{
    const struct dcnv2 d = dcnv2_of(t, n);
    const struct dcnv2_plan *p = &d.plan;
    reorder_weight(&d, a->param[0], d.weight, false);
    for (int64_t i = 0; i < d.batch; i++) {
        const float *offset = a->in[1] + i * d.pixels * 2 * p->offset_groups * d.taps;
        const float *mask = d.has_mask ? a->in[2] + i * d.pixels * p->offset_groups * d.taps : NULL;
        float *y = output + i * d.pixels * d.out;
        exchange(&d, (float *)(uintptr_t)a->in[0] + i * p->channels * p->height * p->width, d.image,
                 false);
        for (int first = 0; first < d.pixels; first += BLOCK) {
            const int rows = (int)(d.pixels - first < BLOCK ? d.pixels - first : BLOCK);
            sample(t, &d, offset, mask, first, rows);
            /* [out, rows]: the output's planes */
            onednn_sgemm(false, true, d.out, rows, d.k, d.weight, d.k, d.rows, d.k, 0, y + first,
                         d.pixels);
        }
        for (int o = 0; a->param[1] && o < d.out; o++)
            for (int64_t q = 0; q < d.pixels; q++)
                y[o * d.pixels + q] += a->param[1][o];
    }
}

/* Scatters the gradient of a block of rows: each thread into a frame of its own. */
static void scatter(const struct trainer *t, const struct dcnv2 *d, const float *offset,
                    const float *mask, int first, int count, float *d_offset, float *d_mask)
{
#pragma omp parallel num_threads(t->threads)
    {
        const int thread = omp_get_thread_num();
        const struct share part = share_of(count, thread, omp_get_num_threads());
        t->kernels->dcnv2_backward(&d->plan, d->image, offset, mask, first + (int)part.first,
                                   (int)(part.last - part.first), d->rows + part.first * d->k,
                                   d->k, d->d_image + d->frame * (size_t)thread, d_offset, d_mask);
    }
}

static void dcnv2_image_backward(const struct trainer *t, const struct dcnv2 *d,
                                 const struct ref32_op_args *a, int64_t i, const float *d_y)
{
    const struct dcnv2_plan *p = &d->plan;
    const size_t sets = (size_t)i * d->pixels * p->offset_groups * d->taps;
    const size_t image = (size_t)i * p->channels * p->height * p->width;
    const float *offset = a->in[1] + 2 * sets, *mask = d->has_mask ? a->in[2] + sets : NULL;
    exchange(d, (float *)(uintptr_t)a->in[0] + image, d->image, false);
    memset(d->d_image, 0, d->frame * (size_t)t->threads * sizeof(float));
    for (int first = 0; first < d->pixels; first += BLOCK) {
        const int rows = (int)(d->pixels - first < BLOCK ? d->pixels - first : BLOCK);
        sample(t, d, offset, mask, first, rows);
        onednn_sgemm(false, false, d->out, d->k, rows, d_y + first, d->pixels, d->rows, d->k, 1,
                     d->d_weight, d->k);
        onednn_sgemm(true, false, rows, d->k, d->out, d_y + first, d->pixels, d->weight, d->k, 0,
                     d->rows, d->k);
        scatter(t, d, offset, mask, first, rows, a->d_in[1] + 2 * sets,
                d->has_mask ? a->d_in[2] + sets : NULL);
    }
    for (int thread = 1; thread < t->threads; thread++)
        t->kernels->add_to((int64_t)d->frame, d->d_image + d->frame * (size_t)thread, d->d_image);
    exchange(d, a->d_in[0] + image, d->d_image, true);
}

static void dcnv2_backward(const struct trainer *t, const struct node *n,
                           const struct ref32_op_args *a, const float *d_output)
{
    const struct dcnv2 d = dcnv2_of(t, n);
    reorder_weight(&d, a->param[0], d.weight, false);
    memset(d.d_weight, 0, (size_t)d.out * d.k * sizeof(float));
    for (int64_t i = 0; i < d.batch; i++) {
        const float *d_y = d_output + i * d.pixels * d.out;
        dcnv2_image_backward(t, &d, a, i, d_y);
        for (int o = 0; a->d_param[1] && o < d.out; o++) {
            double sum = 0;
            for (int64_t q = 0; q < d.pixels; q++)
                sum += d_y[o * d.pixels + q];
            a->d_param[1][o] += (float)sum;
        }
    }
    reorder_weight(&d, d.d_weight, a->d_param[0], true);
}

const struct fast_op dcnv2_fast = {dcnv2_forward, dcnv2_backward, dcnv2_scratch, dcnv2_fits, false};
