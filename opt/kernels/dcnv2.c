/* DCNv2's sampling: a tile of output pixels becomes rows of taps * channels values, the
 * left factor of the product with the weights. Set-up has pixels in the lanes - the offset
 * planes are contiguous there - and the sums channels. The image lies in a frame of zeros,
 * see kernels.h. */
#include "../simd.h"

#include "../kernels.h"

enum { MOST_ROWS = 64 };        /* pixels per tile; the caller keeps to DCNV2_ROWS */

/* Corner and weights of one tap at every pixel of the tile. */
struct taps {
    int32_t corner[MOST_ROWS];
    float weight[4][MOST_ROWS];
};

INLINE vf clamp(vf at, int size)
{
    return vmin(vmax(at, vset(0.0f)), vset((float)(size + 1)));
}

/* dy, dx, m: the tap's planes at the first pixel (m may be NULL); y, x: where the tap's
 * window position lies in the frame for each pixel. */
static void set_up(const struct dcnv2_plan *p, int rows, const float *y, const float *x,
                   const float *dy, const float *dx, const float *m, struct taps *t)
{
    const int row = (p->width + 2) * p->channels;
    for (int i = 0; i < rows; i += LANES) {
        const int n = rows - i < LANES ? rows - i : LANES;
        const vf py = clamp(vload(y + i) + vload_part(dy + i, n), p->height);
        const vf px = clamp(vload(x + i) + vload_part(dx + i, n), p->width);
        const vi y0 = __builtin_convertvector(py, vi), x0 = __builtin_convertvector(px, vi);
        const vf ly = py - __builtin_convertvector(y0, vf);
        const vf lx = px - __builtin_convertvector(x0, vf);
        const vf all = m ? vload_part(m + i, n) : vset(1.0f), down = ly * all, up = all - down;
        vstore_int(t->corner + i, y0 * row + x0 * p->channels);
        vstore(t->weight[0] + i, up - up * lx);
        vstore(t->weight[1] + i, up * lx);
        vstore(t->weight[2] + i, down - down * lx);
        vstore(t->weight[3] + i, down * lx);
    }
}

INLINE vf mix(const float *up, const float *down, int channels, const vf *w, int lanes)
{
    if (lanes == LANES)
        return (vload(up) * w[0] + vload(up + channels) * w[1])
             + (vload(down) * w[2] + vload(down + channels) * w[3]);
    return (vload_part(up, lanes) * w[0] + vload_part(up + channels, lanes) * w[1])
         + (vload_part(down, lanes) * w[2] + vload_part(down + channels, lanes) * w[3]);
}

/* One tap of one offset group for the whole tile: `count` channels per pixel. */
static void sample(const struct dcnv2_plan *p, int rows, const struct taps *t,
                   const float *value, int count, float *a, int lda)
{
    const size_t row = (size_t)(p->width + 2) * p->channels;
    for (int i = 0; i < rows; i++, a += lda) {
        const float *up = value + t->corner[i], *down = up + row;
        const vf w[4] = {vset(t->weight[0][i]), vset(t->weight[1][i]), vset(t->weight[2][i]),
                         vset(t->weight[3][i])};
        int c = 0;
        for (; c + LANES <= count; c += LANES)
            vstore(a + c, mix(up + c, down + c, p->channels, w, LANES));
        if (c < count)
            vstore_part(a + c, mix(up + c, down + c, p->channels, w, count - c), count - c);
    }
}

void K(dcnv2)(const struct dcnv2_plan *p, const float *value, const float *offset,
              const float *mask, int first, int rows, float *a, int lda)
{
    const size_t plane = (size_t)p->out_height * p->out_width;
    const int taps = p->kernel_y * p->kernel_x, count = p->channels / p->offset_groups;
    float base_y[MOST_ROWS + LANES], base_x[MOST_ROWS + LANES], y[MOST_ROWS + LANES],
          x[MOST_ROWS + LANES];
    struct taps t;
    for (int i = 0; i < rows; i++) {
        base_y[i] = (float)((first + i) / p->out_width * p->stride_y - p->pad_y + 1);
        base_x[i] = (float)((first + i) % p->out_width * p->stride_x - p->pad_x + 1);
    }
    for (int k = 0; k < taps; k++) {
        for (int i = 0; i < rows; i++) {
            y[i] = base_y[i] + (float)(k / p->kernel_x * p->dilation_y);
            x[i] = base_x[i] + (float)(k % p->kernel_x * p->dilation_x);
        }
        for (int g = 0; g < p->offset_groups; g++) {
            const size_t channel = (size_t)g * taps + k;
            set_up(p, rows, y, x, offset + 2 * channel * plane + first,
                   offset + (2 * channel + 1) * plane + first,
                   mask ? mask + channel * plane + first : NULL, &t);
            sample(p, rows, &t, value + g * count, count, a + k * p->channels + g * count, lda);
        }
    }
}
