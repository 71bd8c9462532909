/* What the steps of a plan do: each thread its share, then plan.c's barrier. */
#include "onednn.h"
#include "plan_internal.h"

#include <math.h>
#include <string.h>

static float *scratch_of(const struct plan *p, int thread)
{
    return p->scratch + p->scratch_size * (size_t)thread;
}

void run_to_nhwc(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct shape *to = &s->node->shape;
    const int64_t pixels = to->dim[1] * to->dim[2], channels = to->dim[3];
    const float *in = buffer_at(p, s->in[0]);
    float *out = buffer_at(p, s->out);
    const struct share part = share_of(to->dim[0] * pixels, thread, threads);
    for (int64_t i = part.first; i < part.last; i++)
        for (int64_t c = 0; c < channels; c++)
            out[i * channels + c] = in[(i / pixels * channels + c) * pixels + i % pixels];
}

void run_to_nchw(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct shape *to = &s->node->shape;
    const int64_t channels = to->dim[1], pixels = to->dim[2] * to->dim[3];
    const float *in = buffer_at(p, s->in[0]);
    const struct share part = share_of(to->dim[0] * channels, thread, threads);
    for (int64_t k = part.first; k < part.last; k++) {      /* plane k */
        const float *image = in + k / channels * pixels * channels + k % channels;
        float *out = buffer_at(p, s->out) + k * pixels;
        for (int64_t i = 0; i < pixels; i++)
            out[i] = image[i * channels];
    }
}

void run_constant(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct share part = share_of(shape_count(&s->node->shape), thread, threads);
    float *out = buffer_at(p, s->out);
    for (int64_t i = part.first; i < part.last; i++)
        out[i] = (float)s->node->attr.value;
}

/* Small weights are read by every thread, with a share of the rows each; large ones are
 * split, so that each is read from memory once. */
static bool split_columns(const struct gemm *g, int64_t rows, int panels, int threads)
{
    return threads > 1 && panels >= 2 * threads
        && ((double)g->n * g->k > 192e3 || rows < 32 * threads);
}

void run_gemm(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct gemm *g = &s->gemm;
    const int panels = (g->n + p->kernels->panel - 1) / p->kernels->panel;
    const float *a = buffer_at(p, s->in[0]), *residual = buffer_at(p, s->residual);
    float *c = buffer_at(p, s->out);
    const int lda = p->buffer[s->in[0]].ld ? p->buffer[s->in[0]].ld : g->k;
    const int ldc = p->buffer[s->out].ld ? p->buffer[s->out].ld : g->n;
    if (split_columns(g, s->rows, panels, threads)) {
        const struct share part = share_of(panels, thread, threads);
        p->kernels->gemm(g, 0, s->rows, a, lda, c, ldc, residual, g->n, (int)part.first,
                         (int)part.last);
        return;
    }
    const struct share part = share_of(s->rows, thread, threads);
    p->kernels->gemm(g, part.first, part.last, a, lda, c, ldc, residual, g->n, 0, panels);
}

/* Brings its own threads. */
void run_onednn(const struct plan *p, const struct step *s, int thread, int threads)
{
    (void)thread, (void)threads;
    onednn_run(s->primitive, buffer_at(p, s->in[0]), buffer_at(p, s->out),
               buffer_at(p, s->residual));
}

/* The window of one output pixel as a row of K*K*C values, zero outside of the image. */
static void window_row(const struct step *s, const float *image, int height, int width, int oy,
                       int ox, float *row)
{
    const size_t bytes = (size_t)s->in_channels * sizeof *row;
    for (int ky = 0; ky < s->y.kernel; ky++) {
        const int y = oy * s->y.stride - s->y.pad + ky * s->y.dilation;
        for (int kx = 0; kx < s->x.kernel; kx++, row += s->in_channels) {
            const int x = ox * s->x.stride - s->x.pad + kx * s->x.dilation;
            if (y < 0 || x < 0 || y >= height || x >= width)
                memset(row, 0, bytes);
            else
                memcpy(row, image + ((size_t)y * width + x) * s->in_channels, bytes);
        }
    }
}

/* Convolution: a tile of windows into scratch, then the product with the weights. */
void run_conv(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct gemm *g = &s->gemm;
    const struct shape *in = &s->node->in[0]->shape;
    const int height = (int)in->dim[1], width = (int)in->dim[2];
    const int out_width = window_positions(width, s->x);
    const int64_t per_image = (int64_t)window_positions(height, s->y) * out_width;
    const int panels = (g->n + p->kernels->panel - 1) / p->kernels->panel;
    const struct share part = share_of(s->rows, thread, threads);
    float *tile = scratch_of(p, thread), *c = buffer_at(p, s->out);
    for (int64_t first = part.first; first < part.last; first += CONV_ROWS) {
        const int rows = (int)(part.last - first < CONV_ROWS ? part.last - first : CONV_ROWS);
        for (int r = 0; r < rows; r++) {
            const int64_t pixel = (first + r) % per_image, image = (first + r) / per_image;
            window_row(s, buffer_at(p, s->in[0]) + image * height * width * s->in_channels,
                       height, width, (int)(pixel / out_width), (int)(pixel % out_width),
                       tile + (size_t)r * g->k);
        }
        p->kernels->gemm(g, 0, rows, tile, g->k, c + first * g->n, g->n, NULL, 0, 0, panels);
    }
}

void run_layer_norm(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct share part = share_of(s->rows, thread, threads);
    const int c = s->channels;
    const float *x = buffer_at(p, s->in[0]), *residual = buffer_at(p, s->residual);
    p->kernels->layer_norm((int)(part.last - part.first), c, s->eps, x + part.first * c, c,
                           s->weight, s->bias, s->gelu,
                           residual ? residual + part.first * c : NULL, c,
                           buffer_at(p, s->out) + part.first * c, c);
}

/* Depthwise convolution, norm and GELU: row by row, while the row is in L1. */
void run_dwconv(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct dwconv *d = &s->dwconv;
    const struct share part = share_of(s->rows / d->width, thread, threads);
    const size_t row = (size_t)d->width * d->channels;
    for (int64_t r = part.first; r < part.last; r++) {
        const int y = (int)(r % d->height);
        float *out = buffer_at(p, s->out) + (size_t)r * row;
        p->kernels->dwconv(d, buffer_at(p, s->in[0]) + (size_t)(r / d->height) * d->height * row,
                           y, y + 1, out);
        if (s->weight)
            p->kernels->layer_norm(d->width, d->channels, s->eps, out, d->channels, s->weight,
                                   s->bias, s->gelu, NULL, 0, out, d->channels);
    }
}

void run_dcnv3(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct dcnv3_plan *d = &s->dcnv3;
    const int channels = d->groups * d->group_channels;
    const struct share part = share_of(s->rows / d->out_width, thread, threads);
    const size_t image = (size_t)(d->height + 2) * (d->width + 2) * channels;
    for (int64_t r = part.first; r < part.last; r++) {
        const int y = (int)(r % d->out_height);
        const size_t pixel = (size_t)r * d->out_width;
        const float *value = buffer_at(p, s->in[0]) + (size_t)(r / d->out_height) * image;
        const float *branch = buffer_at(p, s->in[1]) + pixel * s->branch;
        float *out = buffer_at(p, s->out) + pixel * channels;
        p->kernels->dcnv3(d, value, branch, s->branch, y, y + 1, scratch_of(p, thread), out);
        if (s->scale_column >= 0)           /* output pixel = input pixel: one frame row */
            p->kernels->center_scale(d->out_width, d->groups, d->group_channels, out,
                                     value + ((size_t)(y + 1) * (d->width + 2) + 1) * channels,
                                     branch + s->scale_column, s->branch, out);
    }
}

void run_unary(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct share part = share_of(s->rows * s->channels, thread, threads);
    const float *x = buffer_at(p, s->in[0]) + part.first;
    float *y = buffer_at(p, s->out) + part.first;
    if (s->node->op == OP_gelu)
        p->kernels->gelu(part.last - part.first, x, y);
    else
        p->kernels->sigmoid(part.last - part.first, x, y);
}

void run_add(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct share part = share_of(s->rows * s->channels, thread, threads);
    p->kernels->add(part.last - part.first, buffer_at(p, s->in[0]) + part.first,
                    buffer_at(p, s->in[1]) + part.first, buffer_at(p, s->out) + part.first);
}

/* Mean over the pixels of each image; `rows` are the pixels of all images. */
void run_mean(const struct plan *p, const struct step *s, int thread, int threads)
{
    const int64_t images = s->node->shape.dim[0], pixels = s->rows / images;
    const struct share part = share_of(images, thread, threads);
    for (int64_t n = part.first; n < part.last; n++)
        p->kernels->mean_rows((int)pixels, s->channels,
                              buffer_at(p, s->in[0]) + n * pixels * s->channels,
                              buffer_at(p, s->out) + n * s->channels);
}

void run_softmax(const struct plan *p, const struct step *s, int thread, int threads)
{
    const int points = s->node->attr.points;
    const struct share part = share_of(s->rows * s->channels / points, thread, threads);
    p->kernels->softmax(part.last - part.first, points,
                        buffer_at(p, s->in[0]) + part.first * points,
                        buffer_at(p, s->out) + part.first * points);
}

/* One head of one image: scores in scratch, softmax, weighted sum of the values. */
static void attend(const struct kernels *k, int tokens, int channels, int size, const float *q,
                   const float *key, const float *value, float *score, float *out)
{
    const float scale = 1 / sqrtf((float)size);
    for (int t = 0; t < tokens; t++) {
        float sum = 0;
        for (int c = 0; c < size; c++)
            sum += q[c] * key[(size_t)t * channels + c];
        score[t] = sum * scale;
    }
    k->softmax(1, tokens, score, score);
    memset(out, 0, (size_t)size * sizeof *out);
    for (int t = 0; t < tokens; t++)
        for (int c = 0; c < size; c++)
            out[c] += score[t] * value[(size_t)t * channels + c];
}

void run_attention(const struct plan *p, const struct step *s, int thread, int threads)
{
    const int heads = s->node->attr.heads, size = s->channels / heads;
    const int64_t images = s->node->shape.dim[0], tokens = s->rows / images;
    const struct share part = share_of(images * heads, thread, threads);
    for (int64_t i = part.first; i < part.last; i++) {
        const int64_t n = i / heads, first = i % heads * size;
        const int64_t image = n * tokens * s->channels + first;
        attend(p->kernels, (int)tokens, s->channels, size,
               buffer_at(p, s->in[0]) + n * s->channels + first, buffer_at(p, s->in[1]) + image,
               buffer_at(p, s->in[2]) + image, scratch_of(p, thread),
               buffer_at(p, s->out) + n * s->channels + first);
    }
}

void run_pixel_shuffle(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct shape *to = &s->node->shape;
    const int r = s->node->attr.factor, channels = (int)to->dim[3];
    const int64_t height = to->dim[1], width = to->dim[2];
    const struct share part = share_of(to->dim[0] * height * width, thread, threads);
    for (int64_t i = part.first; i < part.last; i++) {
        const int64_t n = i / (height * width), y = i / width % height, x = i % width;
        const float *in = buffer_at(p, s->in[0])
            + ((n * (height / r) + y / r) * (width / r) + x / r) * channels * r * r
            + y % r * r + x % r;
        float *out = buffer_at(p, s->out) + i * channels;
        for (int c = 0; c < channels; c++)
            out[c] = in[(size_t)c * r * r];
    }
}

/* A plain tensor, NHWC or (for DCNv2) NCHW, into a frame, image row by image row. */
void run_frame(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct dcnv2_plan *d = &s->dcnv2;
    const size_t row = (size_t)d->width * d->channels, image = row * (size_t)d->height;
    const struct share part = share_of(s->rows / d->width, thread, threads);
    for (int64_t r = part.first; r < part.last; r++) {
        const int64_t n = r / d->height, first = r % d->height * d->width;
        float *frame = buffer_at(p, s->out)
                     + (size_t)n * (d->height + 2) * (d->width + 2) * d->channels;
        const float *in = buffer_at(p, s->in[0]) + (size_t)n * image;
        if (s->node->op == OP_dcnv2)
            p->kernels->transpose(d->channels, d->width, in + first, (int64_t)d->height * d->width,
                                  frame + frame_row(first, d->height, d->width) * d->channels,
                                  d->channels);
        else
            memcpy(frame + frame_row(first, d->height, d->width) * d->channels,
                   in + (size_t)first * d->channels, row * sizeof *in);
    }
}

/* Offsets and modulations of a bare DCNv3 operator, ordered as its kernel reads them. */
void run_pack(const struct plan *p, const struct step *s, int thread, int threads)
{
    const int taps = s->channels;
    const struct share part = share_of(s->rows, thread, threads);
    for (int64_t r = part.first; r < part.last; r++) {
        const float *offset = buffer_at(p, s->in[0]) + r * 2 * taps;
        const float *mask = buffer_at(p, s->in[1]) + r * taps;
        float *out = buffer_at(p, s->out) + r * 3 * taps;
        for (int t = 0; t < taps; t++) {
            out[t] = offset[2 * t];
            out[taps + t] = offset[2 * t + 1];
            out[2 * taps + t] = mask[t];
        }
    }
}

/* Sampling and product by tiles that stay in L2: the whole column matrix never exists. */
void run_dcnv2(const struct plan *p, const struct step *s, int thread, int threads)
{
    const struct dcnv2_plan *d = &s->dcnv2;
    const struct gemm *g = &s->gemm;
    const int taps = d->kernel_y * d->kernel_x, lda = g->k + 16;
    const int panels = (g->n + p->kernels->panel - 1) / p->kernels->panel;
    const int64_t pixels = (int64_t)d->out_height * d->out_width;
    int64_t tiles = (pixels + DCNV2_ROWS - 1) / DCNV2_ROWS;
    const bool few = s->rows / pixels * tiles < 8 * threads;    /* then equal work for each */
    if (few)
        tiles = (tiles + threads - 1) / threads * threads;
    tiles = tiles < pixels ? tiles : pixels;
    const size_t image = (size_t)(d->height + 2) * (d->width + 2) * d->channels;
    const struct share part = share_of(s->rows / pixels * tiles, thread, threads);
    float *a = scratch_of(p, thread), *c = a + (size_t)DCNV2_ROWS * lda;
    for (int64_t t = part.first; t < part.last; t++) {
        const int64_t n = t / tiles;
        const int64_t at = t % tiles, end = few ? pixels * (at + 1) / tiles : (at + 1) * DCNV2_ROWS;
        const int first = (int)(few ? pixels * at / tiles : at * DCNV2_ROWS);
        const int rows = (int)((end < pixels ? end : pixels) - first);
        const float *mask = s->in[2] < 0 ? NULL
                          : buffer_at(p, s->in[2]) + n * d->offset_groups * taps * pixels;
        p->kernels->dcnv2(d, buffer_at(p, s->in[0]) + n * image,
                          buffer_at(p, s->in[1]) + n * 2 * d->offset_groups * taps * pixels, mask,
                          first, rows, a, lda);
        p->kernels->gemm(g, 0, rows, a, lda, c, g->n, NULL, 0, 0, panels);
        float *out = buffer_at(p, s->out) + n * g->n * pixels + first;
        p->kernels->transpose(rows, g->n, c, g->n, out, pixels);
    }
}
