/* Kernels that walk rows of channels: normalisation, activations, means. */
#include "../simd.h"

#include "../kernels.h"

/* Whole vectors by load and store, the last channels by a part. */
#define FOR_VECTORS(c, channels) for (int c = 0; c < (channels); c += LANES)
INLINE vf load_at(const float *x, int c, int channels)
{
    return channels - c >= LANES ? vload(x + c) : vload_part(x + c, channels - c);
}

INLINE void store_at(float *y, int c, int channels, vf v)
{
    if (channels - c >= LANES)
        vstore(y + c, v);
    else
        vstore_part(y + c, v, channels - c);
}

INLINE void norm_row(int channels, float eps, const float *x, const float *weight,
                     const float *bias, bool gelu, const float *residual, float *y)
{
    vf sum = {0}, squares = {0};
    const int whole = channels / LANES * LANES;
    FOR_VECTORS(c, channels)
        sum += load_at(x, c, channels);
    const float mean = vsum(sum) / (float)channels;
    FOR_VECTORS(c, whole) {
        MCA_BEGIN("layer_norm, one vector of the variance");
        vf d = vload(x + c) - mean;
        squares += d * d;
        MCA_END;
    }
    float variance = vsum(squares);
    for (int c = whole; c < channels; c++)
        variance += (x[c] - mean) * (x[c] - mean);
    const float inverse = 1.0f / sqrtf(variance / (float)channels + eps);
    FOR_VECTORS(c, channels) {
        vf v = (load_at(x, c, channels) - mean) * inverse;
        v = v * load_at(weight, c, channels) + load_at(bias, c, channels);
        if (gelu)
            v = vgelu(v);
        if (residual)
            v += load_at(residual, c, channels);
        store_at(y, c, channels, v);
    }
}

void K(layer_norm)(int rows, int channels, float eps, const float *x, int ldx,
                   const float *weight, const float *bias, bool gelu, const float *residual,
                   int ldr, float *y, int ldy)
{
    for (int r = 0; r < rows; r++)
        norm_row(channels, eps, x + (size_t)r * ldx, weight, bias, gelu,
                 residual ? residual + (size_t)r * ldr : NULL, y + (size_t)r * ldy);
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

void K(softmax)(int64_t rows, int points, const float *x, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += points, y += points) {
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
