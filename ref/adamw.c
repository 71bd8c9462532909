/* AdamW (arXiv 1711.05101, algorithm 2, as torch.optim.AdamW): the weight decay acts on the
 * parameter itself, not through the gradient. For step t = 1, 2, ...
 *
 *   p = p - lr wd p
 *   m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2
 *   p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 *
 * and what goes with it: clipping by the global norm, the moving average of parameters. */
#include "row.h"
#include "optimizer.h"
#include "training.h"

#include <tgmath.h>

void REF(adamw_step)(const struct adamw *o, int64_t step, double clip, int64_t count,
                     const real *gradient, real *m, real *v, real *param)
{
    const real keep = (real)(1 - o->lr * o->weight_decay);
    const real b1 = (real)o->beta1, b2 = (real)o->beta2;
    const real in1 = (real)(1 - o->beta1), in2 = (real)(1 - o->beta2), eps = (real)o->eps;
    const real size = (real)(o->lr / (1 - pow(o->beta1, (double)step)));
    const real root = (real)sqrt(1 - pow(o->beta2, (double)step));
    for (int64_t i = 0; i < count; i++) {
        const real g = (real)clip * gradient[i];
        m[i] = b1 * m[i] + in1 * g;
        v[i] = b2 * v[i] + in2 * g * g;
        param[i] = keep * param[i] - size * m[i] / (sqrt(v[i]) / root + eps);
    }
}

double REF(sum_of_squares)(int64_t count, const real *x)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

double REF(clip_factor)(double norm, double most)
{
    const double factor = most / (norm + 1e-6);
    return factor < 1 ? factor : 1;
}

void REF(ema_update)(int64_t count, double decay, const real *x, real *average)
{
    const real keep = (real)decay, take = (real)(1 - decay);
    for (int64_t i = 0; i < count; i++)
        average[i] = keep * average[i] + take * x[i];
}
