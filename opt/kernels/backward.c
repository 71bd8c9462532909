/* Gradients of the kernels in rows.c and dwconv.c. Every one adds to what it is given. */
#include "rows.h"

#include "../kernels.h"

void K(add_to)(int64_t count, const float *x, float *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, vload(y + i) + vload(x + i));
    for (; i < count; i++)
        y[i] += x[i];
}

void K(add_pieces)(int count, int n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int i = 0; i < count; i++, x += ldx, y += ldy)
        for (int c = 0; c < n; c += LANES)
            add_at(y, c, n, load_at(x, c, n));
}

void K(add_scaled)(int64_t count, float scale, const float *x, float *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, vload(y + i) + vload(x + i) * scale);
    for (; i < count; i++)
        y[i] += x[i] * scale;
}

/* d/dx x Phi(x) = Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi) */
INLINE vf gelu_slope(vf x)
{
    return vcdf(x) + x * vexp(x * x * -0.5f) * 0.398942280f;
}

void K(gelu_backward)(int64_t count, const float *x, const float *d_y, float *d_x)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(d_x + i, vload(d_x + i) + vload(d_y + i) * gelu_slope(vload(x + i)));
    if (i < count) {
        const int n = (int)(count - i);
        add_at(d_x + i, 0, n, vload_part(d_y + i, n) * gelu_slope(vload_part(x + i, n)));
    }
}

void K(softmax_backward)(int64_t rows, int points, const float *y, const float *d_y, float *d_x)
{
    for (int64_t r = 0; r < rows; r++, y += points, d_y += points, d_x += points) {
        float sum = 0;
        for (int p = 0; p < points; p++)
            sum += y[p] * d_y[p];
        for (int p = 0; p < points; p++)
            d_x[p] += y[p] * (d_y[p] - sum);
    }
}

/* See ref/layer_norm.c for the formula. */
INLINE void norm_rows_backward(const int rows, const int channels, float eps, const float *x,
                               const float *weight, const float *d_y, float *d_x, float *d_weight,
                               float *d_bias)
{
    float mean[NORM_ROWS], inverse[NORM_ROWS], mean_d[NORM_ROWS], mean_dh[NORM_ROWS];
    vf sum_d[NORM_ROWS] = {{0}}, sum_dh[NORM_ROWS] = {{0}};
    moments(rows, channels, eps, x, (size_t)channels, mean, inverse);
    for (int c = 0; c < channels; c += LANES) {
        const vf w = load_at(weight, c, channels);
        vf sum_w = {0}, sum_b = {0};
        for (int r = 0; r < rows; r++) {
            const size_t at = (size_t)r * channels;
            const vf d = load_at(d_y + at, c, channels);
            const vf h = (load_at(x + at, c, channels) - mean[r]) * inverse[r], dw = d * w;
            sum_d[r] += dw;
            sum_dh[r] += dw * h;
            sum_w += d * h;
            sum_b += d;
        }
        add_at(d_weight, c, channels, sum_w);
        add_at(d_bias, c, channels, sum_b);
    }
    vsum4(sum_d[0], sum_d[1], sum_d[2], sum_d[3], mean_d);
    vsum4(sum_dh[0], sum_dh[1], sum_dh[2], sum_dh[3], mean_dh);
    for (int r = 0; r < NORM_ROWS; r++) {
        mean_d[r] /= (float)channels;
        mean_dh[r] /= (float)channels;
    }
    for (int c = 0; c < channels; c += LANES) {
        const vf w = load_at(weight, c, channels);
        for (int r = 0; r < rows; r++) {
            const size_t at = (size_t)r * channels;
            const vf h = (load_at(x + at, c, channels) - mean[r]) * inverse[r];
            /* rounded as in the mean: a single channel's gradient is zero, not noise */
            const vf dw = vrounded(load_at(d_y + at, c, channels) * w);
            add_at(d_x + at, c, channels,
                   (dw - mean_d[r] - h * mean_dh[r])
                       * inverse[r]);
        }
    }
}

INLINE void norm_all_backward(int rows, const int channels, float eps, const float *x,
                              const float *weight, const float *d_y, float *d_x, float *d_weight,
                              float *d_bias)
{
    const size_t step = (size_t)NORM_ROWS * channels;
    for (; rows >= NORM_ROWS; rows -= NORM_ROWS, x += step, d_y += step, d_x += step)
        norm_rows_backward(NORM_ROWS, channels, eps, x, weight, d_y, d_x, d_weight, d_bias);
    for (; rows > 0; rows--, x += channels, d_y += channels, d_x += channels)
        norm_rows_backward(1, channels, eps, x, weight, d_y, d_x, d_weight, d_bias);
}

void K(layer_norm_backward)(int rows, int channels, float eps, const float *x,
                            const float *weight, const float *d_y, float *d_x, float *d_weight,
                            float *d_bias)
{
    if (channels == LANES)
        norm_all_backward(rows, LANES, eps, x, weight, d_y, d_x, d_weight, d_bias);
    else if (channels == 2 * LANES)
        norm_all_backward(rows, 2 * LANES, eps, x, weight, d_y, d_x, d_weight, d_bias);
    else
        norm_all_backward(rows, channels, eps, x, weight, d_y, d_x, d_weight, d_bias);
}

void K(column_sums)(int64_t rows, int channels, const float *x, float *sums)
{
    for (int c = 0; c < channels; c += LANES) {
        vf sum = {0};
        for (int64_t r = 0; r < rows; r++)
            sum += load_at(x + r * channels, c, channels);
        add_at(sums, c, channels, sum);
    }
}

void K(scale_rows)(int64_t rows, int channels, const float *x, const float *gamma, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += channels, y += channels)
        for (int c = 0; c < channels; c++)
            y[c] = x[c] * gamma[c];
}

void K(scale_rows_backward)(int64_t rows, int channels, const float *x, const float *gamma,
                            const float *d_y, float *d_x, float *d_gamma)
{
    for (int64_t r = 0; r < rows; r++, x += channels, d_y += channels, d_x += channels)
        for (int c = 0; c < channels; c += LANES) {
            const vf d = load_at(d_y, c, channels);
            add_at(d_x, c, channels, d * load_at(gamma, c, channels));
            add_at(d_gamma, c, channels, d * load_at(x, c, channels));
        }
}

/* One vector of channels, one tap: sum over the pixels of a row that have this tap. */
INLINE vf tap_sum(const struct dwconv *d, const float *x, const float *d_y, int shift, int c)
{
    vf sum = {0};
    const int from = shift < 0 ? -shift : 0, to = shift > 0 ? d->width - shift : d->width;
    for (int ox = from; ox < to; ox++)
        sum += load_at(x + (size_t)(ox + shift) * d->channels, c, d->channels)
             * load_at(d_y + (size_t)ox * d->channels, c, d->channels);
    return sum;
}

void K(dwconv_backward)(const struct dwconv *d, const float *x, const float *d_y, int y0, int y1,
                        float *d_weight, float *d_bias)
{
    const int half = d->kernel / 2;
    const size_t row = (size_t)d->width * d->channels;
    for (int oy = y0; oy < y1; oy++, d_y += row) {
        K(column_sums)(d->width, d->channels, d_y, d_bias);
        for (int ky = 0; ky < d->kernel; ky++) {
            const int y = oy + ky - half;
            if (y < 0 || y >= d->height)
                continue;
            for (int kx = 0; kx < d->kernel; kx++)
                for (int c = 0; c < d->channels; c += LANES)
                    add_at(d_weight + (size_t)(ky * d->kernel + kx) * d->channels, c, d->channels,
                           tap_sum(d, x + (size_t)y * row, d_y, kx - half, c));
        }
    }
}
