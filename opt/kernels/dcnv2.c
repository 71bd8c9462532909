/* DCNv2's sampling: a tile of output pixels becomes rows of taps * channels values, the
 * left factor of the product with the weights. Set-up has pixels in the lanes - the offset
 * planes are contiguous there - and the sums channels. The image lies in a frame of zeros,
 * see kernels.h. */
#include "../simd.h"

#include "../kernels.h"

/* Pixels per call (the caller keeps to DCNV2_ROWS) and offset groups set up at a time. */
enum { MOST_ROWS = 64, MOST_GROUPS = 8 };

/* Corner and weights of one tap at every pixel of the tile. */
struct taps {
    int32_t corner[MOST_ROWS];
    float weight[4][MOST_ROWS];
};

INLINE vf clamp(vf at, int size)
{
    return vmin(vmax(at, vset(0.0f)), vset((float)(size + 1)));
}

INLINE vf some(const float *p, int n)
{
    return n == LANES ? vload(p) : vload_part(p, n);
}

/* dy, dx, m: the tap's planes at the first pixel (m may be NULL); y, x: where the tap's
 * window position lies in the frame for each pixel. */
static void set_up(const struct dcnv2_plan *p, int rows, const float *y, const float *x,
                   const float *dy, const float *dx, const float *m, struct taps *t)
{
    const int row = (p->width + 2) * p->channels;
    for (int i = 0; i < rows; i += LANES) {
        const int n = rows - i < LANES ? rows - i : LANES;
        const vf py = clamp(vload(y + i) + some(dy + i, n), p->height);
        const vf px = clamp(vload(x + i) + some(dx + i, n), p->width);
        const vi y0 = __builtin_convertvector(py, vi), x0 = __builtin_convertvector(px, vi);
        const vf ly = py - __builtin_convertvector(y0, vf);
        const vf lx = px - __builtin_convertvector(x0, vf);
        const vf all = m ? some(m + i, n) : vset(1.0f), down = ly * all, up = all - down;
        vstore_int(t->corner + i, y0 * row + x0 * p->channels);
        vstore(t->weight[0] + i, up - up * lx);
        vstore(t->weight[1] + i, up * lx);
        vstore(t->weight[2] + i, down - down * lx);
        vstore(t->weight[3] + i, down * lx);
    }
}

/* Half a vector of AVX-512: the 8 channels that 64 make with 8 offset groups. */
#if defined __AVX512F__
typedef float v8 __attribute__((vector_size(32)));
typedef float v8_u __attribute__((vector_size(32), aligned(4), may_alias));
INLINE v8 load8(const float *p) { return (v8)*(const v8_u *)p; }
INLINE void mix8(const float *up, const float *down, int channels, const struct taps *t, int i,
                 float *a)
{
    const v8 v = (load8(up) * t->weight[0][i] + load8(up + channels) * t->weight[1][i])
               + (load8(down) * t->weight[2][i] + load8(down + channels) * t->weight[3][i]);
    *(v8_u *)a = (v8_u)v;
}
#endif

INLINE vf mix(const float *up, const float *down, int channels, const vf *w, int lanes)
{
    if (lanes == LANES)
        return (vload(up) * w[0] + vload(up + channels) * w[1])
             + (vload(down) * w[2] + vload(down + channels) * w[3]);
    return (vload_part(up, lanes) * w[0] + vload_part(up + channels, lanes) * w[1])
         + (vload_part(down, lanes) * w[2] + vload_part(down + channels, lanes) * w[3]);
}

/* `count` channels of one pixel, tap and offset group. */
INLINE void sample(const struct dcnv2_plan *p, const struct taps *t, int i, const float *value,
                   int count, float *a)
{
    const float *up = value + t->corner[i], *down = up + (size_t)(p->width + 2) * p->channels;
    int c = 0;
    if (count >= LANES) {
        const vf w[4] = {vset(t->weight[0][i]), vset(t->weight[1][i]), vset(t->weight[2][i]),
                         vset(t->weight[3][i])};
        for (; c + LANES <= count; c += LANES) {
            MCA_BEGIN("dcnv2, one vector of channels of one point");
            vstore(a + c, mix(up + c, down + c, p->channels, w, LANES));
            MCA_END;
        }
    }
#if defined __AVX512F__
    for (; c + 8 <= count; c += 8)
        mix8(up + c, down + c, p->channels, t, i, a + c);
#endif
    if (c < count) {
        const vf w[4] = {vset(t->weight[0][i]), vset(t->weight[1][i]), vset(t->weight[2][i]),
                         vset(t->weight[3][i])};
        vstore_part(a + c, mix(up + c, down + c, p->channels, w, count - c), count - c);
    }
}

/* A row of the tile is written once. */
INLINE void sample_rows(const struct dcnv2_plan *p, const struct taps *t, int rows, int groups,
                        const float *value, int count, float *a, int lda)
{
    for (int i = 0; i < rows; i++)
        for (int g = 0; g < groups; g++)
            sample(p, &t[g], i, value + g * count, count, a + (size_t)i * lda + g * count);
}

/* The planes are far apart and read in pieces too short for the hardware to foresee. What
 * is asked for may lie behind the last plane, which a prefetch may. */
INLINE void fetch_planes(const float *plane, size_t size, int planes, int rows)
{
    for (int p = 0; p < planes; p++)
        for (int i = 0; i < rows; i += 16)
            __builtin_prefetch(plane + p * size + i, 0, 2);
}

void K(dcnv2)(const struct dcnv2_plan *p, const float *value, const float *offset,
              const float *mask, int first, int rows, float *a, int lda)
{
    const size_t plane = (size_t)p->out_height * p->out_width;
    const int taps = p->kernel_y * p->kernel_x, count = p->channels / p->offset_groups;
    float base_y[MOST_ROWS + LANES], base_x[MOST_ROWS + LANES], y[MOST_ROWS + LANES],
          x[MOST_ROWS + LANES];
    struct taps t[MOST_GROUPS];
    for (int i = 0; i < rows; i++) {
        base_y[i] = (float)((first + i) / p->out_width * p->stride_y - p->pad_y + 1);
        base_x[i] = (float)((first + i) % p->out_width * p->stride_x - p->pad_x + 1);
    }
    for (int k = 0; k < taps; k++) {
        for (int i = 0; i < rows; i++) {
            y[i] = base_y[i] + (float)(k / p->kernel_x * p->dilation_y);
            x[i] = base_x[i] + (float)(k % p->kernel_x * p->dilation_x);
        }
        for (int g0 = 0; g0 < p->offset_groups; g0 += MOST_GROUPS) {
            const int groups = p->offset_groups - g0 < MOST_GROUPS ? p->offset_groups - g0
                                                                   : MOST_GROUPS;
            for (int g = 0; g < groups; g++) {
                const size_t channel = (size_t)(g0 + g) * taps + k;
                fetch_planes(offset + 2 * (channel + 1) * plane + first, plane, 2, rows);
                if (mask)
                    fetch_planes(mask + (channel + 1) * plane + first, plane, 1, rows);
                set_up(p, rows, y, x, offset + 2 * channel * plane + first,
                       offset + (2 * channel + 1) * plane + first,
                       mask ? mask + channel * plane + first : NULL, &t[g]);
            }
            float *to = a + k * p->channels + g0 * count;
            if (count == 8)             /* constants unroll the loops over channels */
                sample_rows(p, t, rows, groups, value + g0 * count, 8, to, lda);
            else if (count == 16)
                sample_rows(p, t, rows, groups, value + g0 * count, 16, to, lda);
            else
                sample_rows(p, t, rows, groups, value + g0 * count, count, to, lda);
        }
    }
}

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_u __attribute__((vector_size(16), aligned(4), may_alias));

INLINE void transpose4(const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const v4 a = (v4)*(const v4_u *)x, b = (v4)*(const v4_u *)(x + ldx);
    const v4 c = (v4)*(const v4_u *)(x + 2 * ldx), d = (v4)*(const v4_u *)(x + 3 * ldx);
    const v4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const v4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const v4 ba = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const v4 dc = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4_u *)y = (v4_u)__builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(v4_u *)(y + ldy) = (v4_u)__builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(v4_u *)(y + 2 * ldy) = (v4_u)__builtin_shufflevector(ba, dc, 0, 1, 4, 5);
    *(v4_u *)(y + 3 * ldy) = (v4_u)__builtin_shufflevector(ba, dc, 2, 3, 6, 7);
}

/* In squares of one cache line a side. Lines that lie far apart are used whole, one after
 * the other: planes of a power of two share their place in the cache. */
enum { SIDE = 16 };

INLINE void transpose_square(const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int i = 0; i < SIDE; i += 4)
        for (int j = 0; j < SIDE; j += 4) {
            const int r = ldx > ldy ? i : j, c = ldx > ldy ? j : i;
            transpose4(x + r * ldx + c, ldx, y + c * ldy + r, ldy);
        }
}

void K(transpose)(int rows, int columns, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int c0 = 0; c0 < columns; c0 += SIDE)
        for (int r0 = 0; r0 < rows; r0 += SIDE) {
            if (rows - r0 >= SIDE && columns - c0 >= SIDE) {
                transpose_square(x + r0 * ldx + c0, ldx, y + c0 * ldy + r0, ldy);
                continue;
            }
            for (int r = r0; r < rows && r < r0 + SIDE; r++)
                for (int c = c0; c < columns && c < c0 + SIDE; c++)
                    y[c * ldy + r] = x[r * ldx + c];
        }
}
