/* Kernels that walk rows of channels: normalisation, activations, means. */
#include "rows.h"

#include "../kernels.h"

#define FOR_VECTORS(c, channels) for (int c = 0; c < (channels); c += LANES)

/* What a norm does besides: see kernels.h. */
struct norm {
    const float *weight, *bias, *residual;
    int ldx, ldr, ldy;
    float eps;
    bool gelu;
};

INLINE void norm_rows(const int rows, const int channels, const struct norm *n, const float *x,
                      const float *residual, float *y)
{
    float mean[NORM_ROWS], inverse[NORM_ROWS];
    moments(rows, channels, n->eps, x, (size_t)n->ldx, mean, inverse);
    FOR_VECTORS(c, channels) {
        const vf weight = load_at(n->weight, c, channels), bias = load_at(n->bias, c, channels);
        for (int r = 0; r < rows; r++) {
            vf v = (load_at(x + (size_t)r * n->ldx, c, channels) - mean[r]) * inverse[r];
            v = v * weight + bias;
            if (n->gelu)
                v = vgelu(v);
            if (residual)
                v += load_at(residual + (size_t)r * n->ldr, c, channels);
            store_at(y + (size_t)r * n->ldy, c, channels, v);
        }
    }
}

INLINE void norm_all(int rows, const int channels, const struct norm *n, const float *x, float *y)
{
    const float *residual = n->residual;
    for (; rows >= NORM_ROWS; rows -= NORM_ROWS) {
        norm_rows(NORM_ROWS, channels, n, x, residual, y);
        x += (size_t)NORM_ROWS * n->ldx;
        y += (size_t)NORM_ROWS * n->ldy;
        residual = residual ? residual + (size_t)NORM_ROWS * n->ldr : NULL;
    }
    for (; rows > 0; rows--) {
        norm_rows(1, channels, n, x, residual, y);
        x += n->ldx;
        y += n->ldy;
        residual = residual ? residual + n->ldr : NULL;
    }
}

void K(layer_norm)(int rows, int channels, float eps, const float *x, int ldx,
                   const float *weight, const float *bias, bool gelu, const float *residual,
                   int ldr, float *y, int ldy)
{
    const struct norm n = {.weight = weight, .bias = bias, .residual = residual, .ldx = ldx,
                           .ldr = ldr, .ldy = ldy, .eps = eps, .gelu = gelu};
    if (channels == LANES)
        norm_all(rows, LANES, &n, x, y);
    else if (channels == 2 * LANES)
        norm_all(rows, 2 * LANES, &n, x, y);
    else
        norm_all(rows, channels, &n, x, y);
}

void K(gelu)(int64_t count, const float *x, float *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        MCA_BEGIN("gelu, one vector");
        vstore(y + i, vgelu(vload(x + i)));
        MCA_END;
    }
    if (i < count)
        vstore_part(y + i, vgelu(vload_part(x + i, (int)(count - i))), (int)(count - i));
}

INLINE vf vsigmoid(vf x)
{
    return 1.0f / (1.0f + vexp(-x));
}

void K(sigmoid)(int64_t count, const float *x, float *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, vsigmoid(vload(x + i)));
    if (i < count)
        vstore_part(y + i, vsigmoid(vload_part(x + i, (int)(count - i))), (int)(count - i));
}

void K(add)(int64_t count, const float *a, const float *b, float *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, vload(a + i) + vload(b + i));
    for (; i < count; i++)
        y[i] = a[i] + b[i];
}

void K(mean_rows)(int rows, int channels, const float *x, float *y)
{
    FOR_VECTORS(c, channels) {
        vf sum = {0};
        for (int r = 0; r < rows; r++)
            sum += load_at(x + (size_t)r * channels, c, channels);
        store_at(y, c, channels, sum / (float)rows);
    }
}

/* A row that fits into one vector. */
INLINE void softmax_short(int points, const float *x, float *y)
{
    vi lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    const vi used = lane < points;
    const vf v = load_at(x, 0, points);
    const float largest = vlargest(vselect(used, v, vset(-INFINITY)));
    const vf e = vselect(used, vexp(v - largest), (vf){0});
    store_at(y, 0, points, e / vsum(e));
}

INLINE void softmax_long(int points, const float *x, float *y)
{
    float largest = x[0], sum = 0;
    for (int p = 1; p < points; p++)
        largest = x[p] > largest ? x[p] : largest;
    FOR_VECTORS(p, points)
        store_at(y, p, points, vexp(load_at(x, p, points) - largest));
    for (int p = 0; p < points; p++)
        sum += y[p];
    for (int p = 0; p < points; p++)
        y[p] /= sum;
}

void K(softmax)(int64_t rows, int points, const float *x, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += points, y += points) {
        if (points <= LANES)
            softmax_short(points, x, y);
        else
            softmax_long(points, x, y);
    }
}

void K(copy_pieces)(int count, int n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int i = 0; i < count; i++, x += ldx, y += ldy)
        FOR_VECTORS(c, n)
            store_at(y, c, n, load_at(x, c, n));
}

void K(center_scale)(int rows, int groups, int group_channels, const float *core,
                     const float *value, const float *logits, int ldl, float *out)
{
    for (int r = 0; r < rows; r++, logits += ldl) {
        for (int g = 0; g < groups; g++) {
            const float a = 1.0f / (1.0f + expf(-logits[g]));
            for (int c = 0; c < group_channels; c++, core++, value++, out++)
                *out = *core * (1 - a) + *value * a;
        }
    }
}
