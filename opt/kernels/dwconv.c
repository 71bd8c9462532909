/* Depthwise convolution of same size: one pass per output row, a few vectors of channels
 * at a time whose K*K weights stay in L1; the border is handled by clipping the window. */
#include "../simd.h"

#include "../kernels.h"

/* One vector of channels of one output pixel; the window is clipped to the image. */
INLINE vf window_sum(const struct dwconv *d, const float *x, int oy, int ox, int c, int lanes)
{
    const int half = d->kernel / 2;
    vf sum = lanes == LANES ? vload(d->bias + c) : vload_part(d->bias + c, lanes);
    for (int ky = 0; ky < d->kernel; ky++) {
        const int y = oy + ky - half;
        if (y < 0 || y >= d->height)
            continue;
        for (int kx = 0; kx < d->kernel; kx++) {
            const int ix = ox + kx - half;
            const float *w = d->weight + (size_t)(ky * d->kernel + kx) * d->channels + c;
            const float *in = x + ((size_t)y * d->width + ix) * d->channels + c;
            if (ix < 0 || ix >= d->width)
                continue;
            if (lanes == LANES)
                sum += vload(in) * vload(w);
            else
                sum += vload_part(in, lanes) * vload_part(w, lanes);
        }
    }
    return sum;
}

/* Four inner pixels at once: each weight is loaded once for them. */
INLINE void four_pixels(const struct dwconv *d, const float *x, int oy, int ox, int c, int kernel,
                        float *y)
{
    const int half = kernel / 2;
    vf s0 = vload(d->bias + c), s1 = s0, s2 = s0, s3 = s0;
    for (int ky = 0; ky < kernel; ky++) {
        const int row = oy + ky - half;
        if (row < 0 || row >= d->height)
            continue;
        const float *in = x + ((size_t)row * d->width + ox - half) * d->channels + c;
        const float *w = d->weight + (size_t)ky * kernel * d->channels + c;
        const size_t next = (size_t)d->channels;
        for (int kx = 0; kx < kernel; kx++, in += next, w += next) {
            MCA_BEGIN("dwconv, one tap for four pixels");
            const vf k = vload(w);
            s0 += vload(in) * k;
            s1 += vload(in + next) * k;
            s2 += vload(in + 2 * next) * k;
            s3 += vload(in + 3 * next) * k;
            MCA_END;
        }
    }
    vstore(y + c, s0);
    vstore(y + d->channels + c, s1);
    vstore(y + 2 * d->channels + c, s2);
    vstore(y + 3 * d->channels + c, s3);
}

static void one_pixel(const struct dwconv *d, const float *x, int oy, int ox, float *y)
{
    int c = 0;
    for (; c + LANES <= d->channels; c += LANES)
        vstore(y + c, window_sum(d, x, oy, ox, c, LANES));
    if (c < d->channels)
        vstore_part(y + c, window_sum(d, x, oy, ox, c, d->channels - c), d->channels - c);
}

INLINE void row_of(const struct dwconv *d, const float *x, int oy, int kernel, float *y)
{
    const int half = kernel / 2, whole = d->channels / LANES * LANES;
    int ox = 0;
    for (; ox < half && ox < d->width; ox++)
        one_pixel(d, x, oy, ox, y + (size_t)ox * d->channels);
    for (; whole == d->channels && ox + 4 + half <= d->width; ox += 4)
        for (int c = 0; c < whole; c += LANES)
            four_pixels(d, x, oy, ox, c, kernel, y + (size_t)ox * d->channels);
    for (; ox < d->width; ox++)
        one_pixel(d, x, oy, ox, y + (size_t)ox * d->channels);
}

void K(dwconv)(const struct dwconv *d, const float *x, int y0, int y1, float *y)
{
    for (int oy = y0; oy < y1; oy++, y += (size_t)d->width * d->channels) {
        if (d->kernel == 3)
            row_of(d, x, oy, 3, y);
        else if (d->kernel == 5)
            row_of(d, x, oy, 5, y);
        else
            row_of(d, x, oy, d->kernel, y);
    }
}
