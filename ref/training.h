/* What training adds to a graph's gradients: loss and optimizer. Pure functions over raw
 * pointers. Included once per precision, no guard. */

/* Cross-entropy with label smoothing (arXiv 1512.00567) over logits [batch, classes], see
 * cross_entropy.c. Returns the mean over the batch; d_logits (may be NULL) receives its
 * gradient. Labels are 0..classes-1. */
double REF(cross_entropy)(int batch, int classes, double smoothing, const real *logits,
                          const int32_t *label, real *d_logits);

/* One step of AdamW (arXiv 1711.05101) for one tensor, as torch.optim.AdamW, see adamw.c.
 * step = 1, 2, ...; the gradient counts `clip` times; m and v are the moments, zero before
 * the first step. */
void REF(adamw_step)(const struct adamw *o, int64_t step, double clip, int64_t count,
                     const real *gradient, real *m, real *v, real *param);

/* Sum of squares, for the global norm, in double. */
double REF(sum_of_squares)(int64_t count, const real *x);
/* What all gradients are multiplied by so that their global norm is at most `most`:
 * most / (norm + 1e-6), at most 1 (torch.nn.utils.clip_grad_norm_). */
double REF(clip_factor)(double norm, double most);

/* average = decay average + (1 - decay) x */
void REF(ema_update)(int64_t count, double decay, const real *x, real *average);
