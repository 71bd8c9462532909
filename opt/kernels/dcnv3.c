/* DCNv3: for each output pixel a table of its sampling points - four corners and four
 * weights each, computed with the points of all groups in the lanes - then, group by
 * group, the weighted sum with channels in the lanes. Corners outside of the image get
 * weight 0 and a legal address, so the sum has no branches. */
#include "../simd.h"

#include "../kernels.h"

/* Tables of one pixel, [taps] each. */
struct points {
    int32_t *corner[4];         /* offset of the corner's first channel, without the group */
    float *weight[4];           /* bilinear weight times modulation */
    float *modulation;          /* exp of the logits, not yet divided by their sum */
};

/* In-range test, lower index and fraction along one axis. A coordinate that is NaN or
 * outside of (-1, size) makes `inside` false. */
INLINE void split(vf at, int size, vi *inside, vi *low, vf *fraction)
{
    *inside = (at > -1.0f) & (at < (float)size);
    at = vselect(*inside, at, vset(0.0f));
    *low = vfloor(at);
    *fraction = at - __builtin_convertvector(*low, vf);
}

INLINE vi clamp(vi v, int most)
{
    return vmin_int(vmax_int(v, (vi){0}), most - (vi){0});
}

INLINE void set_up(const struct dcnv3_plan *p, const float *branch, int oy, int ox,
                   const struct points *t)
{
    const int channels = p->groups * p->group_channels;
    const float fx = (float)(ox * p->stride_x), fy = (float)(oy * p->stride_y);
    for (int i = 0; i < p->taps; i += LANES) {
        vi in_x, in_y, x0, y0;
        vf lx, ly, m = vload(t->modulation + i);
        split(vload(p->base_x + i) + fx + vload(branch + i) * p->offset_scale, p->width, &in_x,
              &x0, &lx);
        split(vload(p->base_y + i) + fy + vload(branch + p->taps + i) * p->offset_scale,
              p->height, &in_y, &y0, &ly);
        m = vselect(in_x & in_y, m, vset(0.0f));
        const vi x1 = x0 + 1, y1 = y0 + 1;
        const vf wx0 = vselect(x0 >= 0, 1.0f - lx, vset(0.0f));
        const vf wx1 = vselect(x1 < p->width, lx, vset(0.0f));
        const vf wy0 = vselect(y0 >= 0, (1.0f - ly) * m, vset(0.0f));
        const vf wy1 = vselect(y1 < p->height, ly * m, vset(0.0f));
        const vi left = clamp(x0, p->width - 1) * channels;
        const vi right = clamp(x1, p->width - 1) * channels;
        const vi up = clamp(y0, p->height - 1) * (p->width * channels);
        const vi down = clamp(y1, p->height - 1) * (p->width * channels);
        vstore_int(t->corner[0] + i, up + left);
        vstore_int(t->corner[1] + i, up + right);
        vstore_int(t->corner[2] + i, down + left);
        vstore_int(t->corner[3] + i, down + right);
        vstore(t->weight[0] + i, wy0 * wx0);
        vstore(t->weight[1] + i, wy0 * wx1);
        vstore(t->weight[2] + i, wy1 * wx0);
        vstore(t->weight[3] + i, wy1 * wx1);
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
    vf most = vload(logits), least = most;          /* padding repeats the last logit */
    for (int i = LANES; i < p->taps; i += LANES) {
        most = vmax(most, vload(logits + i));
        least = vmin(least, vload(logits + i));
    }
    float largest = vlargest(most), smallest = -vlargest(-least);
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
                   const int vectors, float scale, float *out)
{
    vf a[2][4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        a[v][0] = a[v][1] = a[v][2] = a[v][3] = (vf){0};
    for (int k = first; k < first + points; k++) {
#pragma GCC unroll 4
        for (int corner = 0; corner < 4; corner++) {
            const float w = t->weight[corner][k], *from = value + t->corner[corner][k];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                a[v][corner] += vload(from + v * LANES) * w;
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        vstore(out + v * LANES, ((a[v][0] + a[v][1]) + (a[v][2] + a[v][3])) * scale);
}

/* Channels that do not fill vectors. */
static void gather_any(const struct points *t, int first, int points, const float *value,
                       int channels, float scale, float *out)
{
    for (int c = 0; c < channels; c++) {
        float sum = 0;
        for (int k = first; k < first + points; k++)
            for (int corner = 0; corner < 4; corner++)
                sum += value[t->corner[corner][k] + c] * t->weight[corner][k];
        out[c] = sum * scale;
    }
}

INLINE void gather_group(const struct dcnv3_plan *p, const struct points *t, int g,
                         const float *value, float scale, float *out)
{
    const int first = g * p->points;
    int c = 0;
    for (; c + 2 * LANES <= p->group_channels; c += 2 * LANES)
        gather(t, first, p->points, value + c, 2, scale, out + c);
    for (; c + LANES <= p->group_channels; c += LANES)
        gather(t, first, p->points, value + c, 1, scale, out + c);
    if (c < p->group_channels)
        gather_any(t, first, p->points, value + c, p->group_channels - c, scale, out + c);
}

void K(dcnv3)(const struct dcnv3_plan *p, const float *value, const float *branch, int ldb,
              int y0, int y1, float *scratch, float *out)
{
    struct points t;
    for (int i = 0; i < 4; i++) {
        t.weight[i] = scratch + (size_t)i * p->taps;
        t.corner[i] = (int32_t *)(scratch + (size_t)(4 + i) * p->taps);
    }
    t.modulation = scratch + (size_t)8 * p->taps;
    float *inverse = scratch + (size_t)9 * p->taps;
    for (int oy = y0; oy < y1; oy++) {
        for (int ox = 0; ox < p->out_width; ox++, branch += ldb) {
            modulate(p, branch + 2 * p->taps, &t, inverse);
            set_up(p, branch, oy, ox, &t);
            for (int g = 0; g < p->groups; g++, out += p->group_channels)
                gather_group(p, &t, g, value + g * p->group_channels, inverse[g], out);
        }
    }
}
