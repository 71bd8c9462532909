/* Products and convolutions, forward and backward. Every function shares its rows between
 * threads; sums over rows are kept per thread and added in thread order, so that the same
 * number of threads gives the same bits. */
#include "trainer_internal.h"

#include "onednn.h"

#include <omp.h>
#include <string.h>

static void fill_bias(const struct trainer *t, int64_t rows, int n, const float *bias, float *y)
{
    SHARED(t, rows, {
        for (int64_t r = part.first; r < part.last; r++) {
            if (bias)
                memcpy(y + r * n, bias, (size_t)n * sizeof *y);
            else
                memset(y + r * n, 0, (size_t)n * sizeof *y);
        }
    });
}

/* --- products: ours where there are many rows to a packed weight --------------------- */

enum { OWN_ROWS = 512 };

static size_t product_scratch(int n, int k)
{
    return (size_t)round_up(n, 32) * k + (size_t)round_up(k, 32) * n;
}

static void own_product(const struct trainer *t, const struct kernels *kernels, int64_t rows,
                        const struct gemm *g, const float *x, bool add, float *y)
{
    const int panels = (g->n + kernels->panel - 1) / kernels->panel;
    SHARED(t, rows, kernels->gemm(g, part.first, part.last, x, g->k, y, g->n, add ? y : NULL, g->n,
                                  0, panels));
}

/* y[rows, n] = x[rows, k] weight[n, k]^T + bias; packed: product_scratch() floats, 64-byte
 * aligned. */
static void product(const struct trainer *t, int64_t rows, int n, int k, const float *x,
                    const float *weight, const float *bias, float *y, float *packed)
{
    const struct kernels *kernels = narrow_or(t, n / 2);
    if (rows < OWN_ROWS) {
        fill_bias(t, rows, n, bias, y);
        onednn_sgemm(false, true, rows, n, k, x, k, weight, k, 1, y, n);
        return;
    }
    kernels->gemm_pack(n, k, weight, packed);
    own_product(t, kernels, rows, &(struct gemm){.n = n, .k = k, .packed = packed, .bias = bias}, x,
                false, y);
}

/* d_x[rows, k] = d_y[rows, n] weight[n, k], or added to d_x. */
static void product_backward(const struct trainer *t, int64_t rows, int n, int k, const float *d_y,
                             const float *weight, bool add, float *d_x, float *packed)
{
    const struct kernels *kernels = narrow_or(t, k / 2);
    const int panel = kernels->panel;
    if (rows < OWN_ROWS) {
        onednn_sgemm(false, false, rows, k, n, d_y, n, weight, k, add, d_x, k);
        return;
    }
    for (int first = 0; first < k; first += panel)      /* gemm_pack of the transpose */
        for (int i = 0; i < n; i++)
            for (int c = 0; c < panel; c++)
                packed[((size_t)first * n) + (size_t)i * panel + c]
                    = first + c < k ? weight[(size_t)i * k + first + c] : 0;
    own_product(t, kernels, rows, &(struct gemm){.n = k, .k = n, .packed = packed}, d_y, add, d_x);
}

/* --- linear -------------------------------------------------------------------------- */

static void bias_gradient(const struct trainer *t, int64_t rows, int n, const float *d_y,
                          float *d_bias)
{
    memset(t->scratch, 0, (size_t)t->threads * n * sizeof(float));
    SHARED(t, rows, t->kernels->column_sums(part.last - part.first, n, d_y + part.first * n,
                                            t->scratch + (size_t)thread * n));
    add_partial(t, t->scratch, (size_t)n, d_bias);
}

static void linear_forward(const struct trainer *t, const struct node *n,
                           const struct ref32_op_args *a, float *y)
{
    product(t, shape_rows(&n->shape), n->attr.out_channels, (int)shape_last(&n->in[0]->shape),
            a->in[0], a->param[0], a->param[1], y, t->scratch);
}

static void linear_backward(const struct trainer *t, const struct node *n,
                            const struct ref32_op_args *a, const float *d_y)
{
    const int64_t rows = shape_rows(&n->shape), k = shape_last(&n->in[0]->shape);
    const int out = n->attr.out_channels;
    product_backward(t, rows, out, (int)k, d_y, a->param[0], true, a->d_in[0], t->scratch);
    onednn_sgemm(true, false, out, k, rows, d_y, out, a->in[0], k, 1, a->d_param[0], k);
    if (a->d_param[1])
        bias_gradient(t, rows, out, d_y, a->d_param[1]);
}

static size_t linear_scratch(const struct trainer *t, const struct node *n)
{
    const size_t packed = product_scratch(n->attr.out_channels, (int)shape_last(&n->in[0]->shape));
    return packed > row_scratch(t, n) ? packed : row_scratch(t, n);
}

const struct fast_op linear_fast = {linear_forward, linear_backward, linear_scratch, NULL, false};

/* --- convolution: windows of some images as rows, then products ---------------------- */

struct conv {
    int height, width, channels, out_height, out_width, out, k;
    struct window y, x;
    int64_t images, pixels;             /* pixels: output, per image */
    int64_t block;                      /* images at a time */
};

static struct conv conv_of(const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    struct conv c = {
        .height = (int)in->dim[1], .width = (int)in->dim[2], .channels = (int)in->dim[3],
        .out_height = (int)n->shape.dim[1], .out_width = (int)n->shape.dim[2],
        .out = n->attr.out_channels, .y = n->attr.y, .x = n->attr.x, .images = in->dim[0],
    };
    c.k = c.y.kernel * c.x.kernel * c.channels;
    c.pixels = (int64_t)c.out_height * c.out_width;
    c.block = (1 << 20) / (c.pixels * c.k);
    c.block = c.block < 1 ? 1 : c.block > c.images ? c.images : c.block;
    return c;
}

static size_t conv_scratch(const struct trainer *t, const struct node *n)
{
    const struct conv c = conv_of(n);
    const size_t rows = row_scratch(t, n), own = (size_t)(c.block * c.pixels * c.k)
                                              + product_scratch(c.out, c.k)
                                              + 2 * (size_t)c.out * c.k;
    return own > rows ? own : rows;
}

static bool conv_fits(const struct node *n)
{
    return n->attr.groups == 1;
}

/* OIHW to O, H, W, I, or its gradient back (added). */
static void reorder_weight(const struct conv *c, const float *from, float *to, bool back)
{
    const int area = c->y.kernel * c->x.kernel;
    for (int o = 0; o < c->out; o++)
        for (int i = 0; i < c->channels; i++)
            for (int p = 0; p < area; p++) {
                const size_t oihw = ((size_t)o * c->channels + i) * area + p;
                const size_t ohwi = (size_t)o * c->k + (size_t)p * c->channels + i;
                if (back)
                    to[oihw] += from[ohwi];
                else
                    to[ohwi] = from[oihw];
            }
}

/* Windows [*first, *last) of an output line lie within the width of the image, without gaps:
 * each has one piece per line of the input. */
static void whole_windows(const struct conv *c, int *first, int *last)
{
    const int room = c->width + c->x.pad - c->x.kernel;
    *first = (c->x.pad + c->x.stride - 1) / c->x.stride;
    *last = room < 0 || c->x.dilation > 1 ? 0 : room / c->x.stride + 1;
    *last = *last < c->out_width ? *last : c->out_width;
    *first = *first < *last ? *first : *last;
}

/* pieces: a line of each window of an output line, every k floats; line: of the input, where
 * they lie; NULL: outside. */
static void copy_windows(const struct trainer *t, const struct conv *c, const float *line,
                         float *pieces)
{
    const int channels = c->channels, n = c->x.kernel * channels;
    int first, last;
    whole_windows(c, &first, &last);
    for (int ox = 0; ox < c->out_width; ox++) {
        float *piece = pieces + (size_t)ox * c->k;
        if (line && ox == first && first < last) {
            t->kernels->copy_pieces(last - first, n, line + (ox * c->x.stride - c->x.pad) * channels,
                                    (int64_t)c->x.stride * channels, piece, c->k);
            ox = last - 1;
            continue;
        }
        memset(piece, 0, (size_t)n * sizeof *piece);
        for (int kx = 0; line && kx < c->x.kernel; kx++) {
            const int x = ox * c->x.stride - c->x.pad + kx * c->x.dilation;
            if (x >= 0 && x < c->width)
                memcpy(piece + kx * channels, line + x * channels, channels * sizeof *piece);
        }
    }
}

/* The other way: pieces are added to the line. */
static void add_windows(const struct trainer *t, const struct conv *c, const float *pieces,
                        float *line)
{
    const int channels = c->channels, n = c->x.kernel * channels;
    int first, last;
    whole_windows(c, &first, &last);
    for (int ox = 0; ox < c->out_width; ox++) {
        const float *piece = pieces + (size_t)ox * c->k;
        if (ox == first && first < last) {
            t->kernels->add_pieces(last - first, n, piece, c->k,
                                   line + (ox * c->x.stride - c->x.pad) * channels,
                                   (int64_t)c->x.stride * channels);
            ox = last - 1;
            continue;
        }
        for (int kx = 0; kx < c->x.kernel; kx++) {
            const int x = ox * c->x.stride - c->x.pad + kx * c->x.dilation;
            if (x >= 0 && x < c->width)
                t->kernels->add_to(channels, piece + kx * channels, line + x * channels);
        }
    }
}

/* Rows of the windows of `images` images. */
static void windows(const struct trainer *t, const struct conv *c, int64_t images,
                    const float *input, float *rows)
{
    SHARED(t, images * c->out_height, {
        for (int64_t i = part.first; i < part.last; i++) {
            const float *image = input + i / c->out_height * c->height * c->width * c->channels;
            for (int ky = 0; ky < c->y.kernel; ky++) {
                const int y = (int)(i % c->out_height) * c->y.stride - c->y.pad + ky * c->y.dilation;
                const bool inside = y >= 0 && y < c->height;
                copy_windows(t, c, inside ? image + (size_t)y * c->width * c->channels : NULL,
                             rows + i * c->out_width * c->k + ky * c->x.kernel * c->channels);
            }
        }
    });
}

/* Every line of the input receives from the windows that contain it. */
static void windows_backward(const struct trainer *t, const struct conv *c, int64_t images,
                             const float *rows, float *d_input)
{
    SHARED(t, images * c->height, {
        for (int64_t i = part.first; i < part.last; i++) {
            const int y = (int)(i % c->height) + c->y.pad;
            for (int ky = 0; ky < c->y.kernel; ky++) {
                const int sy = y - ky * c->y.dilation;
                const int64_t oy = sy / c->y.stride;
                if (sy >= 0 && sy % c->y.stride == 0 && oy < c->out_height)
                    add_windows(t, c,
                                rows + (i / c->height * c->pixels + oy * c->out_width) * c->k
                                    + ky * c->x.kernel * c->channels,
                                d_input + i * c->width * c->channels);
            }
        }
    });
}

static void conv_forward(const struct trainer *t, const struct node *n,
                         const struct ref32_op_args *a, float *y)
{
    const struct conv c = conv_of(n);
    float *packed = t->scratch, *weight = packed + product_scratch(c.out, c.k);
    float *rows = weight + (size_t)c.out * c.k;
    reorder_weight(&c, a->param[0], weight, false);
    for (int64_t i = 0; i < c.images; i += c.block) {
        const int64_t some = c.images - i < c.block ? c.images - i : c.block;
        windows(t, &c, some, a->in[0] + i * c.height * c.width * c.channels, rows);
        product(t, some * c.pixels, c.out, c.k, rows, weight, a->param[1],
                y + i * c.pixels * c.out, packed);
    }
}

static void conv_backward(const struct trainer *t, const struct node *n,
                          const struct ref32_op_args *a, const float *d_y)
{
    const struct conv c = conv_of(n);
    const size_t size = (size_t)c.out * c.k;
    float *packed = t->scratch, *weight = packed + product_scratch(c.out, c.k);
    float *d_weight = weight + size, *rows = d_weight + size;
    if (a->d_param[1])
        bias_gradient(t, c.images * c.pixels, c.out, d_y, a->d_param[1]);
    reorder_weight(&c, a->param[0], weight, false);
    memset(d_weight, 0, size * sizeof *d_weight);
    for (int64_t i = 0; i < c.images; i += c.block) {
        const int64_t some = c.images - i < c.block ? c.images - i : c.block, m = some * c.pixels;
        const size_t at = (size_t)i * c.height * c.width * c.channels;
        const float *d = d_y + i * c.pixels * c.out;
        windows(t, &c, some, a->in[0] + at, rows);
        onednn_sgemm(true, false, c.out, c.k, m, d, c.out, rows, c.k, 1, d_weight, c.k);
        if (!a->d_in[0])
            continue;
        product_backward(t, m, c.out, c.k, d, weight, false, rows, packed);
        windows_backward(t, &c, some, rows, a->d_in[0] + at);
    }
    reorder_weight(&c, d_weight, a->d_param[0], true);
}

const struct fast_op conv2d_fast = {conv_forward, conv_backward, conv_scratch, conv_fits, true};

/* --- depthwise convolution -------------------------------------------------------------- */

static bool dwconv_fits(const struct node *n)
{
    const struct attr *a = &n->attr;
    return a->y.kernel == a->x.kernel && a->y.kernel % 2 && a->y.stride == 1 && a->x.stride == 1
        && a->y.dilation == 1 && a->x.dilation == 1 && a->y.pad == a->y.kernel / 2
        && a->x.pad == a->x.kernel / 2;
}

static size_t dwconv_scratch(const struct trainer *t, const struct node *n)
{
    const size_t channels = (size_t)shape_last(&n->shape);
    const size_t area = (size_t)n->attr.y.kernel * n->attr.x.kernel;
    return channels * ((area + 1) * (size_t)(t->threads + 1) + (size_t)n->shape.dim[2] * t->threads);
}

/* The weights as the kernel reads them, taps in reverse for the gradient of the input. */
static struct dwconv dwconv_of(const struct node *n, const float *weight, const float *bias,
                               bool flipped, float *to)
{
    const int channels = (int)shape_last(&n->shape), area = n->attr.y.kernel * n->attr.x.kernel;
    float *own_bias = to + (size_t)area * channels;
    for (int p = 0; p < area; p++)
        for (int c = 0; c < channels; c++)
            to[(size_t)p * channels + c] = weight[(size_t)c * area + (flipped ? area - 1 - p : p)];
    for (int c = 0; c < channels; c++)
        own_bias[c] = bias ? bias[c] : 0;
    return (struct dwconv){.height = (int)n->shape.dim[1], .width = (int)n->shape.dim[2],
                           .channels = channels, .kernel = n->attr.y.kernel, .weight = to,
                           .bias = own_bias};
}

static void dwconv_forward(const struct trainer *t, const struct node *n,
                           const struct ref32_op_args *a, float *output)
{
    const struct dwconv d = dwconv_of(n, a->param[0], a->param[1], false, t->scratch);
    const size_t row = (size_t)d.width * d.channels;
    SHARED(t, n->shape.dim[0] * d.height, {
        for (int64_t r = part.first; r < part.last; r++)
            t->kernels->dwconv(&d, a->in[0] + r / d.height * d.height * row, (int)(r % d.height),
                               (int)(r % d.height) + 1, output + r * row);
    });
}

static void dwconv_backward(const struct trainer *t, const struct node *n,
                            const struct ref32_op_args *a, const float *d_y)
{
    const struct dwconv d = dwconv_of(n, a->param[0], NULL, true, t->scratch);
    const int area = d.kernel * d.kernel;
    const size_t row = (size_t)d.width * d.channels, size = (size_t)(area + 1) * d.channels;
    float *partial = t->scratch + size, *rows = partial + size * (size_t)t->threads;
    memset(partial, 0, size * (size_t)t->threads * sizeof *partial);
    SHARED(t, n->shape.dim[0] * d.height, {
        float *own = partial + size * (size_t)thread;
        float *tmp = rows + row * (size_t)thread;
        for (int64_t r = part.first; r < part.last; r++) {
            const int y = (int)(r % d.height);
            const size_t image = (size_t)(r / d.height) * d.height * row;
            t->kernels->dwconv(&d, d_y + image, y, y + 1, tmp);
            t->kernels->add_to((int64_t)row, tmp, a->d_in[0] + r * row);
            t->kernels->dwconv_backward(&d, a->in[0] + image, d_y + r * row, y, y + 1, own,
                                        own + (size_t)area * d.channels);
        }
    });
    for (int i = 1; i < t->threads; i++)
        t->kernels->add_to((int64_t)size, partial + size * (size_t)i, partial);
    for (int p = 0; p < area; p++)
        for (int c = 0; c < d.channels; c++)
            a->d_param[0][(size_t)c * area + p] += partial[(size_t)p * d.channels + c];
    if (a->d_param[1])
        t->kernels->add_to(d.channels, partial + (size_t)area * d.channels, a->d_param[1]);
}

const struct fast_op dwconv2d_fast = {dwconv_forward, dwconv_backward, dwconv_scratch, dwconv_fits,
                                     false};
