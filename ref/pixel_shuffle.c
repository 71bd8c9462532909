/* Pixel shuffle (arXiv 1609.05158), NHWC: r*r channels become an r x r block of pixels,
 *
 *   y[r h + i, r w + j, c] = x[h, w, c r r + i r + j] */
#include "row.h"

/* Index of the input value behind output value (y, x, c) of image n. */
static size_t source(int height, int width, int channels, int r, int n, int y, int x, int c)
{
    size_t pixel = ((size_t)n * height + y / r) * width + x / r;
    return (pixel * channels + c) * r * r + (size_t)(y % r) * r + x % r;
}

void REF(pixel_shuffle_forward)(int batch, int height, int width, int channels, int factor,
                                const real *input, real *output)
{
    for (int n = 0; n < batch; n++)
        for (int y = 0; y < height * factor; y++)
            for (int x = 0; x < width * factor; x++)
                for (int c = 0; c < channels; c++)
                    *output++ = input[source(height, width, channels, factor, n, y, x, c)];
}

void REF(pixel_shuffle_backward)(int batch, int height, int width, int channels, int factor,
                                 const real *d_output, real *d_input)
{
    for (int n = 0; n < batch; n++)
        for (int y = 0; y < height * factor; y++)
            for (int x = 0; x < width * factor; x++)
                for (int c = 0; c < channels; c++)
                    d_input[source(height, width, channels, factor, n, y, x, c)] += *d_output++;
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const int64_t r = n->attr.factor;
    if (!check_rank(g, n, 0, 4))
        return false;
    if (r < 1 || r > 64 || in->dim[3] % (r * r))
        return refuse(g, n, "%lld channels cannot be shuffled by factor %lld",
                      (long long)in->dim[3], (long long)r);
    n->shape = shape_of(4, in->dim[0], in->dim[1] * r, in->dim[2] * r, in->dim[3] / (r * r));
    return true;
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    const struct shape *in = &n->in[0]->shape;
    REF(pixel_shuffle_forward)((int)in->dim[0], (int)in->dim[1], (int)in->dim[2],
                               (int)n->shape.dim[3], n->attr.factor, a->in[0], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    const struct shape *in = &n->in[0]->shape;
    if (a->d_in[0])
        REF(pixel_shuffle_backward)((int)in->dim[0], (int)in->dim[1], (int)in->dim[2],
                                    (int)n->shape.dim[3], n->attr.factor, d_output, a->d_in[0]);
}

const struct REF(op) REF(pixel_shuffle_op) = {
    .name = "pixel_shuffle", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = one_term,
};
