/* Rows of channels that need not fill their last vector, and their moments. */
#ifndef OPT_KERNELS_ROWS_H
#define OPT_KERNELS_ROWS_H

#include "../simd.h"

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

INLINE void add_at(float *y, int c, int channels, vf v)
{
    store_at(y, c, channels, load_at(y, c, channels) + v);
}

/* How many rows the norms take at once: sums across a vector are half the work on short
 * rows, and vsum4() does four for little more than one. */
enum { NORM_ROWS = 4 };

/* Mean and 1 / sqrt(variance + eps) of `rows` <= NORM_ROWS rows at distance ldx; the entries
 * beyond are those of a row of zeros. */
INLINE void moments(int rows, int channels, float eps, const float *x, size_t ldx,
                    float mean[NORM_ROWS], float inverse[NORM_ROWS])
{
    const int whole = channels / LANES * LANES;
    vf s[NORM_ROWS] = {{0}}, v[NORM_ROWS] = {{0}};
    float variance[NORM_ROWS];
    for (int c = 0; c < channels; c += LANES)
        for (int r = 0; r < rows; r++)
            s[r] += load_at(x + r * ldx, c, channels);
    vsum4(s[0], s[1], s[2], s[3], mean);
    for (int r = 0; r < NORM_ROWS; r++)
        mean[r] /= (float)channels;
    for (int c = 0; c < whole; c += LANES) {
        MCA_BEGIN("layer_norm, variance, a vector of four rows");
        for (int r = 0; r < rows; r++) {
            const vf d = vload(x + r * ldx + c) - mean[r];
            v[r] += d * d;
        }
        MCA_END;
    }
    vsum4(v[0], v[1], v[2], v[3], variance);
    for (int r = 0; r < rows; r++)
        for (int c = whole; c < channels; c++) {
            const float d = x[r * ldx + c] - mean[r];
            variance[r] += d * d;
        }
    for (int r = 0; r < NORM_ROWS; r++)
        inverse[r] = 1.0f / sqrtf(variance[r] / (float)channels + eps);
}

#endif
