/* Gradients of sampling, DCNv3's and DCNv2's alike: the four dot products of the incoming
 * gradient with the corners give those of modulation and position; the corners themselves
 * receive it by their bilinear weights. Image and gradient lie in frames, so corners
 * outside of the image need no test: they are zero, and what they receive is dropped. */
#include "../simd.h"

#include "../kernels.h"

/* One point's place in a frame. */
struct place {
    size_t corner;              /* upper left, floats from the frame's start */
    float lx, ly;
};

/* py, px: in pixels of the image. False when the point contributes nothing. */
INLINE bool find(float py, float px, int height, int width, int pixel, struct place *at)
{
    if (!(px > -1 && py > -1 && px < (float)width && py < (float)height))
        return false;
    const float fy = floorf(py), fx = floorf(px);
    at->ly = py - fy;
    at->lx = px - fx;
    at->corner = ((size_t)((int)fy + 1) * (width + 2) + (int)fx + 1) * pixel;
    return true;
}

/* d: incoming gradient of `channels` channels; dot: its products with the corners. */
INLINE void corners(const float *v, float *d_v, size_t pixel, size_t row, int channels,
                    const float *d, const float w[4], float dot[4])
{
    vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int c = 0;
    for (; c + LANES <= channels; c += LANES) {
        const vf g = vload(d + c);
        const float *at = v + c;
        float *to = d_v + c;
        s0 += g * vload(at);
        s1 += g * vload(at + pixel);
        s2 += g * vload(at + row);
        s3 += g * vload(at + row + pixel);
        vstore(to, vload(to) + g * w[0]);
        vstore(to + pixel, vload(to + pixel) + g * w[1]);
        vstore(to + row, vload(to + row) + g * w[2]);
        vstore(to + row + pixel, vload(to + row + pixel) + g * w[3]);
    }
    vsum4(s0, s1, s2, s3, dot);
    for (; c < channels; c++) {
        const size_t at[4] = {c, pixel + c, row + c, row + pixel + c};
        for (int k = 0; k < 4; k++) {
            dot[k] += d[c] * v[at[k]];
            d_v[at[k]] += d[c] * w[k];
        }
    }
}

/* Adds a point's share to everything; `scale`: pixels per unit of offset. */
INLINE void point(const struct place *at, const float *v, float *d_v, size_t pixel, size_t row,
                  int channels, const float *d, float m, float scale, float *d_y, float *d_x,
                  float *d_m)
{
    const float lx = at->lx, ly = at->ly, hx = 1 - lx, hy = 1 - ly;
    const float w[4] = {hy * hx * m, hy * lx * m, ly * hx * m, ly * lx * m};
    float dot[4];
    corners(v + at->corner, d_v + at->corner, pixel, row, channels, d, w, dot);
    *d_x += scale * m * (hy * (dot[1] - dot[0]) + ly * (dot[3] - dot[2]));
    *d_y += scale * m * (hx * (dot[2] - dot[0]) + lx * (dot[3] - dot[1]));
    if (d_m)
        *d_m += hy * (hx * dot[0] + lx * dot[1]) + ly * (hx * dot[2] + lx * dot[3]);
}

/* Positions are computed in the reference's order of operations: at integer positions the
 * derivative jumps, and both must fall on the same side. */
INLINE void dcnv3_points_backward(const struct dcnv3_shape *s, const int size, int g0, int g1,
                                  const float *frame, const float *offset, const float *mask,
                                  const float *d_out, float *d_frame, float *d_offset,
                                  float *d_mask)
{
    const int points = dcnv3_points(s), channels = s->groups * s->group_channels;
    const int middle = s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    const int cx = (s->x.dilation * (s->x.kernel - 1)) >> 1;
    const int cy = (s->y.dilation * (s->y.kernel - 1)) >> 1;
    const float scale = (float)s->offset_scale;
    const size_t row = (size_t)(s->width + 2) * channels;
    struct place at;
    for (int oy = 0; oy < s->out_height; oy++)
        for (int ox = 0; ox < s->out_width; ox++) {
            const size_t q = (size_t)oy * s->out_width + ox;
            for (int g = g0; g < g1; g++)
                for (int p = 0; p < points; p++) {
                    const size_t k = (q * s->groups + g) * points + p;
                    const int t = s->remove_center && p >= middle ? p + 1 : p;
                    const float px = (float)(ox * s->x.stride - s->x.pad + cx) - (float)cx * scale
                        + ((float)(t / s->y.kernel * s->x.dilation) + offset[2 * k]) * scale;
                    const float py = (float)(oy * s->y.stride - s->y.pad + cy) - (float)cy * scale
                        + ((float)(t % s->y.kernel * s->y.dilation) + offset[2 * k + 1]) * scale;
                    if (find(py, px, s->height, s->width, channels, &at))
                        point(&at, frame + g * size, d_frame + g * size, channels, row, size,
                              d_out + q * channels + g * size, mask[k], scale,
                              d_offset + 2 * k + 1, d_offset + 2 * k, d_mask + k);
                }
        }
}

/* The usual numbers of channels per group as constants: no loop, and the incoming gradient
 * stays in its registers. */
void K(dcnv3_backward)(const struct dcnv3_shape *s, int g0, int g1, const float *frame,
                       const float *offset, const float *mask, const float *d_out, float *d_frame,
                       float *d_offset, float *d_mask)
{
    const int size = s->group_channels;
    if (size == LANES)
        dcnv3_points_backward(s, LANES, g0, g1, frame, offset, mask, d_out, d_frame, d_offset, d_mask);
    else if (size == 2 * LANES)
        dcnv3_points_backward(s, 2 * LANES, g0, g1, frame, offset, mask, d_out, d_frame, d_offset,
                              d_mask);
    else
        dcnv3_points_backward(s, size, g0, g1, frame, offset, mask, d_out, d_frame, d_offset, d_mask);
}

void K(dcnv2_backward)(const struct dcnv2_plan *s, const float *frame, const float *offset,
                       const float *mask, int first, int rows, const float *d_a, int lda,
                       float *d_frame, float *d_offset, float *d_mask)
{
    const size_t plane = (size_t)s->out_height * s->out_width;
    const int taps = s->kernel_y * s->kernel_x, channels = s->channels / s->offset_groups;
    const size_t row = (size_t)(s->width + 2) * s->channels;
    struct place at;
    for (int i = 0; i < rows; i++) {
        const int q = first + i, oy = q / s->out_width, ox = q % s->out_width;
        for (int k = 0; k < taps; k++)
            for (int g = 0; g < s->offset_groups; g++) {
                const size_t o = ((size_t)g * taps + k) * 2 * plane + q;
                const size_t m = ((size_t)g * taps + k) * plane + q;
                const float py = (float)(oy * s->stride_y - s->pad_y + k / s->kernel_x * s->dilation_y)
                               + offset[o];
                const float px = (float)(ox * s->stride_x - s->pad_x + k % s->kernel_x * s->dilation_x)
                               + offset[o + plane];
                if (find(py, px, s->height, s->width, s->channels, &at))
                    point(&at, frame + g * channels, d_frame + g * channels, s->channels, row,
                          channels, d_a + (size_t)i * lda + k * s->channels + g * channels,
                          mask ? mask[m] : 1, 1, d_offset + o, d_offset + o + plane,
                          mask ? d_mask + m : NULL);
            }
    }
}
