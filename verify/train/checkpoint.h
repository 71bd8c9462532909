/* All that a training needs to go on as if nothing had happened: parameters, moments,
 * average, the step, the epoch's sums. Everything random is a function of seed and step. */
#ifndef VERIFY_TRAIN_CHECKPOINT_H
#define VERIFY_TRAIN_CHECKPOINT_H

#include "learner.h"

struct epoch_sums {
    double loss;                        /* sum over the epoch's steps so far */
    int64_t correct;
    double seconds;                     /* since the training began, steps only */
};

/* Written to "<path>.part" and renamed: a kill leaves the old checkpoint or the new one.
 * `plan`: a text that says what is being trained and how. */
bool checkpoint_write(const char *path, const struct learner *l, const struct epoch_sums *sums,
                      const char *plan, struct error *e);
/* Refuses a checkpoint of another plan. */
bool checkpoint_read(const char *path, struct learner *l, struct epoch_sums *sums,
                     const char *plan, struct error *e);

#endif
