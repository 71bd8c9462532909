/* DCNv3: for each output pixel a table of its sampling points - the upper left corner and
 * four weights each, computed with the points of all groups in the lanes - then, group by
 * group, the weighted sum with channels in the lanes. The image's frame of zeros makes
 * every clamped point legal, so the sum has no branches. */
#include "../simd.h"

#include "../kernels.h"

/* Tables of one pixel, one entry per tap. */
struct points {
    int32_t *corner;            /* upper left corner, in floats from the frame's start */
    float *weight[4];           /* bilinear weight times modulation */
    float *modulation;          /* exp of the logits, not yet divided by their sum */
};

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
        const vf m = vload(t->modulation + i);
        const vf x = clamp(vload(p->base_x + i) + fx + vload(branch + i) * p->offset_scale,
                           p->width);
        const vf y = clamp(vload(p->base_y + i) + fy
                           + vload(branch + p->taps + i) * p->offset_scale, p->height);
        const vi x0 = __builtin_convertvector(x, vi), y0 = __builtin_convertvector(y, vi);
        const vf lx = x - __builtin_convertvector(x0, vf), ly = y - __builtin_convertvector(y0, vf);
        const vf down = ly * m, up = m - down;
        vstore_int(t->corner + i, y0 * row + x0 * pixel);
        vstore(t->weight[0] + i, up - up * lx);
        vstore(t->weight[1] + i, up * lx);
        vstore(t->weight[2] + i, down - down * lx);
        vstore(t->weight[3] + i, down * lx);
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
INLINE void gather(const struct points *t, int first, int points, const float *value,
                   const size_t pixel, const size_t row, const int vectors, float scale,
                   float *out)
{
    vf a[2][4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        a[v][0] = a[v][1] = a[v][2] = a[v][3] = (vf){0};
    for (int k = first; k < first + points; k++) {
        const float *up = value + t->corner[k], *down = up + row;
        const float w0 = t->weight[0][k], w1 = t->weight[1][k];
        const float w2 = t->weight[2][k], w3 = t->weight[3][k];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            a[v][0] += vload(up + v * LANES) * w0;
            a[v][1] += vload(up + pixel + v * LANES) * w1;
            a[v][2] += vload(down + v * LANES) * w2;
            a[v][3] += vload(down + pixel + v * LANES) * w3;
        }
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
            sum += up[0] * t->weight[0][k] + up[pixel] * t->weight[1][k]
                 + down[0] * t->weight[2][k] + down[pixel] * t->weight[3][k];
        }
        out[c] = sum * scale;
    }
}

INLINE void gather_group(const struct dcnv3_plan *p, const struct points *t, int g,
                         const float *value, float scale, float *out)
{
    const int first = g * p->points, channels = p->group_channels;
    const size_t pixel = (size_t)p->groups * channels, row = pixel * (p->width + 2);
    int c = 0;
    for (; c + 2 * LANES <= channels; c += 2 * LANES)
        gather(t, first, p->points, value + c, pixel, row, 2, scale, out + c);
    for (; c + LANES <= channels; c += LANES)
        gather(t, first, p->points, value + c, pixel, row, 1, scale, out + c);
    if (c < channels)
        gather_any(t, first, p->points, value + c, pixel, row, channels - c, scale, out + c);
}

void K(dcnv3)(const struct dcnv3_plan *p, const float *value, const float *branch, int ldb,
              int y0, int y1, float *scratch, float *out)
{
    const int padded = round_up(p->taps, 16);
    const struct points t = {
        .corner = (int32_t *)scratch, .modulation = scratch + padded,
        .weight = {scratch + 2 * padded, scratch + 3 * padded, scratch + 4 * padded,
                   scratch + 5 * padded},
    };
    float *inverse = scratch + 6 * padded;
    for (int oy = y0; oy < y1; oy++) {
        for (int ox = 0; ox < p->out_width; ox++, branch += ldb) {
            modulate(p, branch + 2 * p->taps, &t, inverse);
            set_up(p, branch, oy, ox, &t);
            for (int g = 0; g < p->groups; g++, out += p->group_channels)
                gather_group(p, &t, g, value + g * p->group_channels, inverse[g], out);
        }
    }
}
