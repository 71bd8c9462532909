/* AdamW and the moving average, one pass over a parameter each. */
#include "../simd.h"

#include "../kernels.h"

INLINE void adamw_lanes(const struct adamw_factors *f, vf g, vf *m, vf *v, vf *p)
{
    g = g * f->clip;
    *m = *m * f->b1 + g * f->in1;
    *v = *v * f->b2 + g * g * f->in2;
    *p = *p * f->keep - *m * f->size / (vsqrt(*v) + f->eps);
}

void K(adamw)(int64_t count, const struct adamw_factors *f, const float *g, float *m, float *v,
              float *p)
{
    int64_t i = 0;
    vf mo, ve, pa;
    for (; i + LANES <= count; i += LANES) {
        mo = vload(m + i), ve = vload(v + i), pa = vload(p + i);
        adamw_lanes(f, vload(g + i), &mo, &ve, &pa);
        vstore(m + i, mo), vstore(v + i, ve), vstore(p + i, pa);
    }
    if (i < count) {
        const int n = (int)(count - i);
        mo = vload_part(m + i, n), ve = vload_part(v + i, n), pa = vload_part(p + i, n);
        adamw_lanes(f, vload_part(g + i, n), &mo, &ve, &pa);
        vstore_part(m + i, mo, n), vstore_part(v + i, ve, n), vstore_part(p + i, pa, n);
    }
}

void K(blend)(int64_t count, float keep, const float *x, float *y)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, vload(y + i) * keep + vload(x + i) * (1 - keep));
    for (; i < count; i++)
        y[i] = y[i] * keep + x[i] * (1 - keep);
}
