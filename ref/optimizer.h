/* What an optimizer and a schedule are told; the functions are in training.h. */
#ifndef REF_OPTIMIZER_H
#define REF_OPTIMIZER_H

#include <stdbool.h>
#include <stdint.h>

/* torch.optim.AdamW's names. */
struct adamw {
    double lr, beta1, beta2, eps, weight_decay;
};

struct schedule {
    double lr, min_lr;
    int64_t warmup, steps;              /* of all `steps`, the first `warmup` rise */
};

/* The learning rate of step t = 0, 1, ... (arXiv 1608.03983, without restarts):
 * lr (t + 1) / warmup while t < warmup, then
 * min_lr + (lr - min_lr) (1 + cos(pi (t - warmup) / (steps - warmup))) / 2. */
double schedule_lr(const struct schedule *s, int64_t t);

/* The average's decay after step t = 0, 1, ...: min(decay, (1 + t) / (10 + t)), so that
 * the random start is forgotten soon. */
double ema_decay(double decay, int64_t t);

#endif
