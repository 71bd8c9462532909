/* DCNv3: deformable convolution with multi-group sampling and shared weights.
 *
 *   y(q) = sum_g sum_p  m_gp(q) * x_g( q + s * (r_p + dr_gp(q)) )
 *
 * InternImage (arXiv 2211.05778), equation 2, without the projection w_g, which
 * is the same for all points and therefore a linear layer after this op. For
 * each output pixel q and each group g of channels, P points are sampled; r_p
 * is the regular window, dr the learned offset, m the modulation (already
 * softmaxed over p), s the offset scale. x between pixels is bilinear, outside
 * of the image zero.
 *
 * The points are counted with x outermost: p = column * Kh + row. Offsets are
 * (x, y) pairs in input pixels. DCNv2 differs in both, see dcnv2.c. */
#include "row.h"

/* x_g between four pixels: the corner values and the two fractions. */
struct sample {
    int x0, y0;          /* upper left corner, may be -1 */
    real lx, ly;         /* how far the point lies beyond it, 0 <= l < 1 */
};

/* Where point p of output pixel (oy, ox) lies: column i, row j of the window, with
 * the middle one left out if asked. Returns false when it is so far out that all four
 * corners are outside (or is NaN): such a point contributes nothing. */
static bool locate(const struct dcnv3_shape *s, int oy, int ox, int p, const real *offset,
                   struct sample *at)
{
    const int middle = s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    const int k = s->remove_center && p >= middle ? p + 1 : p;
    const int i = k / s->y.kernel, j = k % s->y.kernel;
    const int cx = (s->x.dilation * (s->x.kernel - 1)) >> 1;   /* window centre, */
    const int cy = (s->y.dilation * (s->y.kernel - 1)) >> 1;   /* rounded down   */
    const real scale = (real)s->offset_scale;
    real px = (real)(ox * s->x.stride - s->x.pad + cx) - (real)cx * scale
            + ((real)(i * s->x.dilation) + offset[0]) * scale;
    real py = (real)(oy * s->y.stride - s->y.pad + cy) - (real)cy * scale
            + ((real)(j * s->y.dilation) + offset[1]) * scale;
    if (!(px > -1 && py > -1 && px < (real)s->width && py < (real)s->height))
        return false;
    *at = (struct sample){.x0 = (int)floor(px), .y0 = (int)floor(py)};
    at->lx = px - (real)at->x0;
    at->ly = py - (real)at->y0;
    return true;
}

/* Channel `c` of pixel (y, x) of one image, zero outside of it. */
static real pixel(const struct dcnv3_shape *s, const real *image, int y, int x, int c)
{
    if (y < 0 || x < 0 || y >= s->height || x >= s->width)
        return 0;
    return image[((size_t)y * s->width + x) * s->groups * s->group_channels + c];
}

static real bilinear(const struct dcnv3_shape *s, const real *image, const struct sample *at, int c)
{
    const real lx = at->lx, ly = at->ly, hx = 1 - lx, hy = 1 - ly;
    return hy * hx * pixel(s, image, at->y0, at->x0, c)
         + hy * lx * pixel(s, image, at->y0, at->x0 + 1, c)
         + ly * hx * pixel(s, image, at->y0 + 1, at->x0, c)
         + ly * lx * pixel(s, image, at->y0 + 1, at->x0 + 1, c);
}

void REF(dcnv3_forward)(const struct dcnv3_shape *s, const real *input, const real *offset,
                        const real *mask, real *output)
{
    const int channels = s->group_channels, points = dcnv3_points(s);
    const size_t image = (size_t)s->height * s->width * s->groups * channels;
    struct sample at;
    for (int n = 0; n < s->batch; n++)
        for (int oy = 0; oy < s->out_height; oy++)
            for (int ox = 0; ox < s->out_width; ox++)
                for (int g = 0; g < s->groups; g++, output += channels) {
                    for (int c = 0; c < channels; c++)
                        output[c] = 0;
                    for (int p = 0; p < points; p++, offset += 2, mask++)
                        if (locate(s, oy, ox, p, offset, &at))
                            for (int c = 0; c < channels; c++)
                                output[c] += *mask * bilinear(s, input + n * image, &at,
                                                              g * channels + c);
                }
}

/* --- backward ---------------------------------------------------------------
 *
 *   dL/dm   = sum_c dL/dy[c] * x(point)[c]
 *   dL/ddx  = s m sum_c dL/dy[c] * ((1-ly)(v2 - v1) + ly (v4 - v3))     dy alike
 *   dL/dv_k = w_k m dL/dy[c]                       for corners inside the image
 *
 * At integer coordinates the derivative is the right-hand one (floor). */

static void scatter(const struct dcnv3_shape *s, real *d_image, int y, int x, int c, real value)
{
    if (d_image && y >= 0 && x >= 0 && y < s->height && x < s->width)
        d_image[((size_t)y * s->width + x) * s->groups * s->group_channels + c] += value;
}

/* One point of one group: adds its share to all three gradients. */
static void point_backward(const struct dcnv3_shape *s, const real *image, int g,
                           const struct sample *at, real m, const real *d_out, real *d_image,
                           real *d_offset, real *d_mask)
{
    const real lx = at->lx, ly = at->ly, hx = 1 - lx, hy = 1 - ly;
    real sum_m = 0, sum_x = 0, sum_y = 0;
    for (int c = 0; c < s->group_channels; c++) {
        int ch = g * s->group_channels + c;
        real v1 = pixel(s, image, at->y0, at->x0, ch);
        real v2 = pixel(s, image, at->y0, at->x0 + 1, ch);
        real v3 = pixel(s, image, at->y0 + 1, at->x0, ch);
        real v4 = pixel(s, image, at->y0 + 1, at->x0 + 1, ch);
        sum_m += d_out[c] * (hy * hx * v1 + hy * lx * v2 + ly * hx * v3 + ly * lx * v4);
        sum_x += d_out[c] * (hy * (v2 - v1) + ly * (v4 - v3));
        sum_y += d_out[c] * (hx * (v3 - v1) + lx * (v4 - v2));
        scatter(s, d_image, at->y0, at->x0, ch, hy * hx * m * d_out[c]);
        scatter(s, d_image, at->y0, at->x0 + 1, ch, hy * lx * m * d_out[c]);
        scatter(s, d_image, at->y0 + 1, at->x0, ch, ly * hx * m * d_out[c]);
        scatter(s, d_image, at->y0 + 1, at->x0 + 1, ch, ly * lx * m * d_out[c]);
    }
    if (d_mask)
        *d_mask += sum_m;
    if (d_offset) {
        d_offset[0] += (real)s->offset_scale * m * sum_x;
        d_offset[1] += (real)s->offset_scale * m * sum_y;
    }
}

void REF(dcnv3_backward)(const struct dcnv3_shape *s, const real *input, const real *offset,
                         const real *mask, const real *d_output, real *d_input, real *d_offset,
                         real *d_mask)
{
    const int points = dcnv3_points(s);
    const size_t image = (size_t)s->height * s->width * s->groups * s->group_channels;
    struct sample at;
    size_t k = 0;                       /* counts the sampling points through */
    for (int n = 0; n < s->batch; n++)
        for (int oy = 0; oy < s->out_height; oy++)
            for (int ox = 0; ox < s->out_width; ox++)
                for (int g = 0; g < s->groups; g++, d_output += s->group_channels)
                    for (int p = 0; p < points; p++, k++)
                        if (locate(s, oy, ox, p, offset + 2 * k, &at))
                            point_backward(s, input + n * image, g, &at, mask[k], d_output,
                                           d_input ? d_input + n * image : NULL,
                                           d_offset ? d_offset + 2 * k : NULL,
                                           d_mask ? d_mask + k : NULL);
}

/* --- its row in the op table ------------------------------------------------ */

static struct dcnv3_shape shape_from(const struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const struct attr *a = &n->attr;
    return (struct dcnv3_shape){
        .batch = (int)in->dim[0], .height = (int)in->dim[1], .width = (int)in->dim[2],
        .out_height = window_positions((int)in->dim[1], a->y),
        .out_width = window_positions((int)in->dim[2], a->x),
        .groups = a->groups, .group_channels = (int)in->dim[3] / a->groups,
        .y = a->y, .x = a->x, .remove_center = a->remove_center,
        .offset_scale = a->offset_scale,
    };
}

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    if (!check_window(g, n) || !check_rank(g, n, 0, 4) || !check_groups(g, n, in->dim[3]))
        return false;
    struct dcnv3_shape s = shape_from(n);
    int64_t sets = (int64_t)s.groups * dcnv3_points(&s);
    if (dcnv3_points(&s) < 1)
        return refuse(g, n, "no sampling point is left");
    n->shape = shape_of(4, in->dim[0], (int64_t)s.out_height, (int64_t)s.out_width, in->dim[3]);
    struct shape mask = n->shape, offset = n->shape;
    mask.dim[3] = sets;
    offset.dim[3] = sets * 2;
    return check_positions(g, n, s.out_height, s.out_width) && check_shape(g, n, 1, &offset)
        && check_shape(g, n, 2, &mask);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    struct dcnv3_shape s = shape_from(n);
    REF(dcnv3_forward)(&s, a->in[0], a->in[1], a->in[2], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    struct dcnv3_shape s = shape_from(n);
    REF(dcnv3_backward)(&s, a->in[0], a->in[1], a->in[2], d_output, a->d_in[0], a->d_in[1],
                        a->d_in[2]);
}

/* The paper's code counts 5 per sample: four corners and the modulation. */
static double macs(const struct node *n)
{
    struct dcnv3_shape s = shape_from(n);
    return 5.0 * dcnv3_points(&s) * (double)shape_count(&n->shape);
}

static double terms(const struct node *n)
{
    struct dcnv3_shape s = shape_from(n);
    return 4.0 * dcnv3_points(&s);
}

const struct REF(op) REF(dcnv3_op) = {
    .name = "dcnv3", .inputs = {"input", "offset", "mask"}, .infer = infer,
    .forward = forward, .backward = backward, .macs = macs, .terms = terms,
};
