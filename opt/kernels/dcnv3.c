/* DCNv3: for each output pixel a table of its sampling points - the upper left corner and
 * four weights each, computed with the points of all groups in the lanes - then, group by
 * group, the weighted sum with channels in the lanes. The image's frame of zeros makes
 * every clamped point legal, so the sum has no branches. */
#include "../simd.h"

#include "../kernels.h"

/* Tables of one pixel, one entry per tap. */
struct points {
    int32_t *corner;            /* upper left corner, in floats from the frame's start */
    float *weight;              /* bilinear weights times modulation, see weights_at() */
    float *modulation;          /* exp of the logits, not yet divided by their sum */
    int padded;                 /* taps, rounded up to whole vectors */
};

/* Four weights per tap. Broadcasts compete with the channels for the load ports. AVX-512
 * therefore keeps a tap's four together - one load, then shuffles; with narrower vectors
 * two loads of channels per weight leave room, and four planes need no transposition. */
#if defined __AVX512F__
INLINE void weights_put(const struct points *t, int i, const vf w[4])
{
    const __m512 ab = _mm512_unpacklo_ps((__m512)w[0], (__m512)w[1]);
    const __m512 AB = _mm512_unpackhi_ps((__m512)w[0], (__m512)w[1]);
    const __m512 cd = _mm512_unpacklo_ps((__m512)w[2], (__m512)w[3]);
    const __m512 CD = _mm512_unpackhi_ps((__m512)w[2], (__m512)w[3]);
    /* rK: taps K, K + 4, K + 8, K + 12 */
    const __m512 r0 = (__m512)_mm512_unpacklo_pd((__m512d)ab, (__m512d)cd);
    const __m512 r1 = (__m512)_mm512_unpackhi_pd((__m512d)ab, (__m512d)cd);
    const __m512 r2 = (__m512)_mm512_unpacklo_pd((__m512d)AB, (__m512d)CD);
    const __m512 r3 = (__m512)_mm512_unpackhi_pd((__m512d)AB, (__m512d)CD);
    const __m512 s0 = _mm512_shuffle_f32x4(r0, r1, 0x44), s1 = _mm512_shuffle_f32x4(r2, r3, 0x44);
    const __m512 s2 = _mm512_shuffle_f32x4(r0, r1, 0xee), s3 = _mm512_shuffle_f32x4(r2, r3, 0xee);
    float *to = t->weight + 4 * i;
    vstore(to, (vf)_mm512_shuffle_f32x4(s0, s1, 0x88));
    vstore(to + 16, (vf)_mm512_shuffle_f32x4(s0, s1, 0xdd));
    vstore(to + 32, (vf)_mm512_shuffle_f32x4(s2, s3, 0x88));
    vstore(to + 48, (vf)_mm512_shuffle_f32x4(s2, s3, 0xdd));
}

INLINE const float *weights_from(const struct points *t, int first)
{
    return t->weight + 4 * first;
}

INLINE void weights_at(const float *from, int padded, int k, vf w[4])
{
    (void)padded;
    const __m512 all = _mm512_broadcast_f32x4(_mm_loadu_ps(from + 4 * k));
    w[0] = (vf)_mm512_permute_ps(all, 0x00);
    w[1] = (vf)_mm512_permute_ps(all, 0x55);
    w[2] = (vf)_mm512_permute_ps(all, 0xaa);
    w[3] = (vf)_mm512_permute_ps(all, 0xff);
}
#else
INLINE void weights_put(const struct points *t, int i, const vf w[4])
{
    for (int k = 0; k < 4; k++)
        vstore(t->weight + k * t->padded + i, w[k]);
}

INLINE const float *weights_from(const struct points *t, int first)
{
    return t->weight + first;
}

INLINE void weights_at(const float *from, int padded, int k, vf w[4])
{
    for (int c = 0; c < 4; c++)
        w[c] = vset(from[c * padded + k]);
}
#endif

/* Clamped to the frame, where [-1, size] is [0, size + 1]; NaN becomes 0. */
INLINE vf clamp(vf at, int size)
{
    return vmin(vmax(at, vset(0.0f)), vset((float)(size + 1)));
}

INLINE void set_up(const struct dcnv3_plan *p, const float *branch, int oy, int ox,
                   const struct points *t)
{
    const int pixel = p->groups * p->group_channels, row = (p->width + 2) * pixel;
    const float fx = (float)(ox * p->stride_x), fy = (float)(oy * p->stride_y);
    for (int i = 0; i < p->taps; i += LANES) {
        MCA_BEGIN("dcnv3, set-up of one vector of points");
        const vf m = vload(t->modulation + i);
        const vf x = clamp(vload(p->base_x + i) + fx + vload(branch + i) * p->offset_scale,
                           p->width);
        const vf y = clamp(vload(p->base_y + i) + fy
                           + vload(branch + p->taps + i) * p->offset_scale, p->height);
        const vi x0 = __builtin_convertvector(x, vi), y0 = __builtin_convertvector(y, vi);
        const vf lx = x - __builtin_convertvector(x0, vf), ly = y - __builtin_convertvector(y0, vf);
        const vf down = ly * m, up = m - down;
        vstore_int(t->corner + i, y0 * row + x0 * pixel);
        const vf w[4] = {up - up * lx, up * lx, down - down * lx, down * lx};
        weights_put(t, i, w);
        MCA_END;
    }
}

/* The largest logit of each group when one maximum for all would let a group vanish. */
static void groups_apart(const struct dcnv3_plan *p, const float *logits, float *out)
{
    for (int g = 0; g < p->groups; g++, logits += p->points, out += p->points) {
        float largest = logits[0];
        for (int k = 1; k < p->points; k++)
            largest = logits[k] > largest ? logits[k] : largest;
        for (int k = 0; k < p->points; k++)
            out[k] = logits[k] - largest;
    }
}

/* Of exactly `count` values: the last vector overlaps the one before. */
INLINE void extremes(const float *x, int count, float *largest, float *smallest)
{
    if (count < LANES) {
        *largest = *smallest = x[0];
        for (int i = 1; i < count; i++) {
            *largest = x[i] > *largest ? x[i] : *largest;
            *smallest = x[i] < *smallest ? x[i] : *smallest;
        }
        return;
    }
    vf most = vload(x + count - LANES), least = most;
    for (int i = 0; i + LANES <= count; i += LANES) {
        most = vmax(most, vload(x + i));
        least = vmin(least, vload(x + i));
    }
    *largest = vlargest(most);
    *smallest = -vlargest(-least);
}

/* exp(logit - maximum) for all points, and per group 1 / sum. */
INLINE void modulate(const struct dcnv3_plan *p, const float *logits, const struct points *t,
                     float *inverse)
{
    if (!p->softmax) {
        memcpy(t->modulation, logits, (size_t)p->taps * sizeof *logits);
        for (int g = 0; g < p->groups; g++)
            inverse[g] = 1;
        return;
    }
    float largest, smallest;
    extremes(logits, p->taps, &largest, &smallest);
    const float *from = logits;
    if (!(largest - smallest < 60)) {
        groups_apart(p, logits, t->modulation);
        from = t->modulation;
        largest = 0;
    }
    for (int i = 0; i < p->taps; i += LANES)
        vstore(t->modulation + i, vexp(vload(from + i) - largest));
    const float *e = t->modulation;
    for (int g = 0; g < p->groups; g++) {
        float sum = 0;
        for (int k = 0; k < p->points; k++)
            sum += *e++;
        inverse[g] = 1 / sum;
    }
}

/* `vectors` vectors of channels of one group: sum over its points. */
INLINE void gather(const struct points *t, int first, const int points, const float *value,
                   const size_t pixel, const size_t row, const int vectors, float scale,
                   float *out)
{
    const int32_t *corner = t->corner + first;
    const float *weight = weights_from(t, first);
    vf a[2][4];
    /* One base each: else every point of the unrolled loop gets a pointer of its own. */
    __asm__("" : "+r"(corner), "+r"(weight));
    const bool typical = vectors * LANES == 16 && points == 9;  /* InternImage's, for ci/cycles */
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        a[v][0] = a[v][1] = a[v][2] = a[v][3] = (vf){0};
    for (int k = 0; k < points; k++) {
        if (typical)
            MCA_BEGIN("dcnv3, 16 channels of one point");
        const float *up = value + corner[k], *down = up + row;
        vf w[4];
        weights_at(weight, t->padded, k, w);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            a[v][0] += vload(up + v * LANES) * w[0];
            a[v][1] += vload(up + pixel + v * LANES) * w[1];
            a[v][2] += vload(down + v * LANES) * w[2];
            a[v][3] += vload(down + pixel + v * LANES) * w[3];
        }
        if (typical)
            MCA_END;
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        vstore(out + v * LANES, ((a[v][0] + a[v][1]) + (a[v][2] + a[v][3])) * scale);
}

/* Channels that do not fill vectors. */
static void gather_any(const struct points *t, int first, int points, const float *value,
                       size_t pixel, size_t row, int channels, float scale, float *out)
{
    for (int c = 0; c < channels; c++) {
        float sum = 0;
        for (int k = first; k < first + points; k++) {
            const float *up = value + t->corner[k] + c, *down = up + row;
            vf w[4];
            weights_at(weights_from(t, 0), t->padded, k, w);
            sum += up[0] * w[0][0] + up[pixel] * w[1][0] + down[0] * w[2][0] + down[pixel] * w[3][0];
        }
        out[c] = sum * scale;
    }
}

INLINE void gather_group(const struct dcnv3_plan *p, const struct points *t, int g,
                         const int points, const float *value, float scale, float *out)
{
    const int first = g * points, channels = p->group_channels;
    const size_t pixel = (size_t)p->groups * channels, row = pixel * (p->width + 2);
    int c = 0;
    for (; c + 2 * LANES <= channels; c += 2 * LANES)
        gather(t, first, points, value + c, pixel, row, 2, scale, out + c);
    for (; c + LANES <= channels; c += LANES)
        gather(t, first, points, value + c, pixel, row, 1, scale, out + c);
    if (c < channels)
        gather_any(t, first, points, value + c, pixel, row, channels - c, scale, out + c);
}

INLINE void gather_groups(const struct dcnv3_plan *p, const struct points *t, const int points,
                          const float *value, const float *inverse, float *out)
{
    for (int g = 0; g < p->groups; g++)
        gather_group(p, t, g, points, value + g * p->group_channels, inverse[g],
                     out + g * p->group_channels);
}

void K(dcnv3)(const struct dcnv3_plan *p, const float *value, const float *branch, int ldb,
              int y0, int y1, float *scratch, float *out)
{
    const int padded = round_up(p->taps, 16);
    const struct points t = {
        .corner = (int32_t *)scratch, .modulation = scratch + padded,
        .weight = scratch + 2 * padded, .padded = padded,
    };
    float *inverse = scratch + 6 * padded;
    for (int oy = y0; oy < y1; oy++) {
        for (int ox = 0; ox < p->out_width; ox++, branch += ldb) {
            modulate(p, branch + 2 * p->taps, &t, inverse);
            set_up(p, branch, oy, ox, &t);
            if (p->points == 9)
                gather_groups(p, &t, 9, value, inverse, out);
            else
                gather_groups(p, &t, p->points, value, inverse, out);
            out += p->groups * p->group_channels;
        }
    }
}
