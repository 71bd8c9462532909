/* What is learned and by what: parameters, their gradients, the optimizer's moments and
 * the average. One step is loss, gradients, clipping, AdamW. */
#ifndef VERIFY_TRAIN_LEARNER_H
#define VERIFY_TRAIN_LEARNER_H

#include "train.h"

#include "opt/trainer.h"

struct learner {
    struct internimage_config config;   /* with training set */
    const struct train_options *options;
    struct graph *graph;
    struct trainer *trainer;            /* NULL: the reference */
    struct ref32_run *run;
    float **m, **v, **average;          /* per parameter of the graph; average may be NULL */
    float *d_logits;
    int64_t step;                       /* done */
    double gradient_norm;               /* of the last step, before clipping */
};

struct learner *learner_new(const struct internimage_config *c, const struct train_options *o,
                            struct error *e);
void learner_free(struct learner *l);

/* Where the caller puts the batch, [batch, 3, height, width]. */
float *learner_input(struct learner *l);
/* One step on it at the given learning rate; *correct counts right answers before it. */
bool learner_step(struct learner *l, const int32_t *label, double lr, double *loss, int *correct,
                  struct error *e);
/* What is tested and kept: the average or the parameters. */
float *const *learner_weights(const struct learner *l);

#endif
