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

/* DCNv3: the places of up to so many points of a group are computed by vectors. */
enum { POINTS = 16 };

struct taps {                           /* some of the window's, the same for every pixel */
    int first, count;
    float x[POINTS], y[POINTS];         /* from the window's corner */
};

struct points {
    float x[POINTS], y[POINTS];         /* fractions */
    float m[POINTS], w[4][POINTS];      /* modulation; bilinear weights times it */
    float dot[POINTS][4];               /* of the incoming gradient with the corners */
    int32_t corner[POINTS];             /* as in struct place; -1: contributes nothing */
};

INLINE vf vfloor(vf v)
{
#if defined __AVX512F__
    return (vf)_mm512_floor_ps((__m512)v);
#elif defined __AVX2__
    return (vf)_mm256_floor_ps((__m256)v);
#else
    for (int i = 0; i < LANES; i++)
        v[i] = floorf(v[i]);
    return v;
#endif
}

/* px0, py0: the window's corner. Positions are computed in the reference's order of operations: at integer positions the
 * derivative jumps, and both must fall on the same side. */
INLINE void find_points(const struct dcnv3_shape *s, float px0, float py0, const struct taps *taps,
                        const float *offset, const float *mask, struct points *t)
{
    const int pixel = s->groups * s->group_channels, row = (s->width + 2) * pixel;
    const float scale = (float)s->offset_scale;
    for (int i = 0; i < POINTS; i += LANES) {
        const int n = taps->count - i < LANES ? taps->count - i : LANES;
        if (n <= 0)
            break;
        vf dx, dy;
        vload_pairs(offset + 2 * i, n, &dx, &dy);
        const vf px = px0 + (vload(taps->x + i) + dx) * scale;
        const vf py = py0 + (vload(taps->y + i) + dy) * scale;
        const vi inside = (px > -1) & (py > -1) & (px < (float)s->width) & (py < (float)s->height);
        const vf x = vselect(inside, px, (vf){0}), y = vselect(inside, py, (vf){0});
        const vf x0 = vfloor(x), y0 = vfloor(y), lx = x - x0, ly = y - y0;
        const vf m = vload_some(mask + i, n), down = ly * m, up = (1 - ly) * m;
        const vi corner = (__builtin_convertvector(y0, vi) + 1) * row
                        + (__builtin_convertvector(x0, vi) + 1) * pixel;
        vstore(t->m + i, m);
        vstore(t->x + i, lx);
        vstore(t->y + i, ly);
        vstore(t->w[0] + i, up * (1 - lx));
        vstore(t->w[1] + i, up * lx);
        vstore(t->w[2] + i, down * (1 - lx));
        vstore(t->w[3] + i, down * lx);
        vstore_int(t->corner + i, (corner & inside) | ~inside);
    }
}

/* Adds what the dot products say of offsets and modulations. */
INLINE void add_points(const struct points *t, int count, float scale, float *d_offset,
                       float *d_mask)
{
    float d_x[POINTS], d_y[POINTS], d_m[POINTS];
    for (int i = 0; i < POINTS; i++) {
        const float *dot = t->dot[i], lx = t->x[i], ly = t->y[i], hx = 1 - lx, hy = 1 - ly;
        d_x[i] = scale * t->m[i] * (hy * (dot[1] - dot[0]) + ly * (dot[3] - dot[2]));
        d_y[i] = scale * t->m[i] * (hx * (dot[2] - dot[0]) + lx * (dot[3] - dot[1]));
        d_m[i] = hy * (hx * dot[0] + lx * dot[1]) + ly * (hx * dot[2] + lx * dot[3]);
    }
    for (int i = 0; i < count; i++) {
        if (t->corner[i] < 0)
            continue;
        d_offset[2 * i] += d_x[i];
        d_offset[2 * i + 1] += d_y[i];
        d_mask[i] += d_m[i];
    }
}

INLINE struct taps taps_from(const struct dcnv3_shape *s, int first)
{
    const int points = dcnv3_points(s), middle = s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    struct taps t = {first, points - first < POINTS ? points - first : POINTS, {0}, {0}};
    for (int i = 0; i < t.count; i++) {
        const int tap = first + i + (s->remove_center && first + i >= middle);
        t.x[i] = (float)(tap / s->y.kernel * s->x.dilation);
        t.y[i] = (float)(tap % s->y.kernel * s->y.dilation);
    }
    return t;
}

/* One group's `taps` at one pixel; px0, py0: the window's corner. */
INLINE void some_points_backward(const struct dcnv3_shape *s, const int size,
                                 const struct taps *taps, float px0, float py0, const float *frame,
                                 const float *offset, const float *mask, const float *d_out,
                                 float *d_frame, float *d_offset, float *d_mask, struct points *t)
{
    const size_t pixel = (size_t)s->groups * s->group_channels;
    const size_t row = ((size_t)s->width + 2) * pixel;
    find_points(s, px0, py0, taps, offset, mask, t);
    for (int i = 0; i < taps->count; i++) {
        const int32_t at = t->corner[i];
        const float w[4] = {t->w[0][i], t->w[1][i], t->w[2][i], t->w[3][i]};
        if (at >= 0)
            corners(frame + at, d_frame + at, pixel, row, size, d_out, w, t->dot[i]);
    }
    add_points(t, taps->count, (float)s->offset_scale, d_offset, d_mask);
}

INLINE void dcnv3_points_backward(const struct dcnv3_shape *s, const int size, int g0, int g1,
                                  const float *frame, const float *offset, const float *mask,
                                  const float *d_out, float *d_frame, float *d_offset,
                                  float *d_mask)
{
    const int points = dcnv3_points(s), channels = s->groups * s->group_channels;
    const int cx = (s->x.dilation * (s->x.kernel - 1)) >> 1;
    const int cy = (s->y.dilation * (s->y.kernel - 1)) >> 1;
    const float scale = (float)s->offset_scale;
    struct points table = {.corner = {0}};
    for (int first = 0; first < points; first += POINTS) {
        const struct taps taps = taps_from(s, first);
        for (int oy = 0; oy < s->out_height; oy++)
            for (int ox = 0; ox < s->out_width; ox++) {
                const size_t q = (size_t)oy * s->out_width + ox;
                const float px0 = (float)(ox * s->x.stride - s->x.pad + cx) - (float)cx * scale;
                const float py0 = (float)(oy * s->y.stride - s->y.pad + cy) - (float)cy * scale;
                for (int g = g0; g < g1; g++) {
                    const size_t k = (q * s->groups + g) * points + first;
                    some_points_backward(s, size, &taps, px0, py0, frame + g * size,
                                         offset + 2 * k, mask + k, d_out + q * channels + g * size,
                                         d_frame + g * size, d_offset + 2 * k, d_mask + k, &table);
                }
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
