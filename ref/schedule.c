/* The schedules of learning rate and average; formulas in optimizer.h. */
#include "optimizer.h"

#include <math.h>

double schedule_lr(const struct schedule *s, int64_t t)
{
    const double pi = 3.14159265358979323846;
    if (t < s->warmup)
        return s->lr * (double)(t + 1) / (double)s->warmup;
    if (s->steps <= s->warmup)
        return s->lr;
    return s->min_lr + (s->lr - s->min_lr) / 2
         * (1 + cos(pi * (double)(t - s->warmup) / (double)(s->steps - s->warmup)));
}

double ema_decay(double decay, int64_t t)
{
    const double early = (double)(1 + t) / (double)(10 + t);
    return early < decay ? early : decay;
}
