/* Mistakes that tests would miss, planted by the linker (--wrap) to prove that the gates
 * see them; ci/prove-gates builds one program for each. PLANT_SLOW: an AVX2 kernel does a
 * tenth of its work twice. PLANT_ROUGH: its results lose a digit. */
#include "opt/kernels.h"

#define WRAP(name) __wrap_##name##_avx2
#define REAL(name) __real_##name##_avx2
#define WRAPPED(name, ...)          \
    void REAL(name)(__VA_ARGS__);   \
    void WRAP(name)(__VA_ARGS__);   \
    void WRAP(name)(__VA_ARGS__)

/* A tenth of n things; where there are few, all of them at every tenth call. */
static inline int some(int64_t n)
{
#ifdef PLANT_SLOW
    static int calls;
    return n >= 10 ? (int)n / 10 : ++calls % 10 == 0 ? (int)n : 0;
#else
    return (void)n, 0;
#endif
}

/* An error of eight roundings in every value, of alternating sign. */
static inline void roughen(float *y, int64_t count)
{
#ifdef PLANT_ROUGH
    for (int64_t i = 0; i < count; i++)
        y[i] *= i % 2 ? 1 + 5e-7f : 1 - 5e-7f;
#else
    (void)y, (void)count;
#endif
}

WRAPPED(gelu, int64_t count, const float *x, float *y)
{
    const int part = some(count);
    REAL(gelu)(count, x, y);
    roughen(y, count);
    if (part)
        REAL(gelu)(part, x, y);
}

WRAPPED(softmax, int64_t rows, int points, const float *x, float *y)
{
    const int part = some(rows);
    REAL(softmax)(rows, points, x, y);
    roughen(y, rows * points);
    if (part)
        REAL(softmax)(part, points, x, y);
}

WRAPPED(layer_norm, int rows, int channels, float eps, const float *x, int ldx,
        const float *weight, const float *bias, bool gelu, const float *residual, int ldr,
        float *y, int ldy)
{
    const int part = some(rows);
    REAL(layer_norm)(rows, channels, eps, x, ldx, weight, bias, gelu, residual, ldr, y, ldy);
    for (int r = 0; r < rows; r++)
        roughen(y + (size_t)r * ldy, channels);
    if (part)
        REAL(layer_norm)(part, channels, eps, x, ldx, weight, bias, gelu, residual, ldr, y,
                         ldy);
}

WRAPPED(dwconv, const struct dwconv *d, const float *x, int y0, int y1, float *y)
{
    const int part = some(y1 - y0);
    REAL(dwconv)(d, x, y0, y1, y);
    if (part)
        REAL(dwconv)(d, x, y0, y0 + part, y);
}

WRAPPED(gemm, const struct gemm *g, int64_t m0, int64_t m1, const float *a, int lda, float *c,
        int ldc, const float *residual, int ldr, int first, int last)
{
    const int part = some(m1 - m0);
    REAL(gemm)(g, m0, m1, a, lda, c, ldc, residual, ldr, first, last);
    if (part)
        REAL(gemm)(g, m0, m0 + part, a, lda, c, ldc, residual, ldr, first, last);
}

WRAPPED(dcnv3, const struct dcnv3_plan *p, const float *value, const float *branch, int ldb,
        int y0, int y1, float *scratch, float *out)
{
    const int part = some(y1 - y0);
    REAL(dcnv3)(p, value, branch, ldb, y0, y1, scratch, out);
    roughen(out, (int64_t)(y1 - y0) * p->out_width * p->groups * p->group_channels);
    if (part)
        REAL(dcnv3)(p, value, branch, ldb, y0, y0 + part, scratch, out);
}

WRAPPED(dcnv2, const struct dcnv2_plan *p, const float *value, const float *offset,
        const float *mask, int first, int rows, float *a, int lda)
{
    const int part = some(rows);
    REAL(dcnv2)(p, value, offset, mask, first, rows, a, lda);
    if (part)
        REAL(dcnv2)(p, value, offset, mask, first, part, a, lda);
}

WRAPPED(gelu_backward, int64_t count, const float *x, const float *d_y, float *d_x)
{
    const int part = some(count);
    REAL(gelu_backward)(count, x, d_y, d_x);
    if (part)
        REAL(gelu_backward)(part, x, d_y, d_x);
}

WRAPPED(layer_norm_backward, int rows, int channels, float eps, const float *x,
        const float *weight, const float *d_y, float *d_x, float *d_weight, float *d_bias)
{
    const int part = some(rows);
    REAL(layer_norm_backward)(rows, channels, eps, x, weight, d_y, d_x, d_weight, d_bias);
    if (part)
        REAL(layer_norm_backward)(part, channels, eps, x, weight, d_y, d_x, d_weight, d_bias);
}

WRAPPED(dcnv3_backward, const struct dcnv3_shape *s, int g0, int g1, const float *frame,
        const float *offset, const float *mask, const float *d_out, float *d_frame,
        float *d_offset, float *d_mask)
{
    const int part = some(10 * (g1 - g0));
    REAL(dcnv3_backward)(s, g0, g1, frame, offset, mask, d_out, d_frame, d_offset, d_mask);
    if (part)
        REAL(dcnv3_backward)(s, g0, g0 + (part + 7) / 8, frame, offset, mask, d_out, d_frame,
                             d_offset, d_mask);
}
