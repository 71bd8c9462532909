/* Training a model on an image set: one call with everything in its options, so that an
 * experiment is a changed configuration. The same options, seed and number of threads give
 * the same weights, bit for bit, also when the run was killed and resumed. */
#ifndef VERIFY_TRAIN_TRAIN_H
#define VERIFY_TRAIN_TRAIN_H

#include "datasets/images.h"
#include "ref/internimage.h"

#include <stdio.h>

enum engine { ENGINE_OPT, ENGINE_REF };

struct train_options {
    int epochs, batch;
    double lr, min_lr, weight_decay;    /* no decay of vectors: biases, norms, layer scale */
    double warmup;                      /* epochs */
    double label_smoothing;
    double ema;                         /* decay of the average; 0: none */
    double clip;                        /* largest global norm of the gradients; 0: any */
    struct view view;                   /* of training images; tests see only its size */
    uint64_t seed;
    enum engine engine;
    int threads;                        /* 0: as many as OpenMP would use */
    int64_t train_limit, test_limit;    /* images used; 0: all */
    const char *checkpoint;             /* file, written every checkpoint_seconds and after
                                           every epoch; NULL: none */
    double checkpoint_seconds;
    bool resume;                        /* go on from the checkpoint if it exists */
    int64_t stop_after;                 /* steps, then a checkpoint and return; 0: never */
    int test_every;                     /* epochs; the last one is always tested; 0: only it */
    FILE *log;                          /* JSON lines; NULL: none */
    bool progress;                      /* on stderr */
};

struct train_options train_defaults(void);

struct train_result {
    int64_t steps;
    bool finished;                      /* false: stopped by stop_after */
    double loss;                        /* mean over the last epoch, smoothing included */
    double train_accuracy;              /* over the last epoch, of the augmented images */
    double test_accuracy, test_top5, test_loss;     /* of the weights that are returned */
    double seconds;                     /* of this call, steps only */
    double images_per_second;
};

/* Trains `c` (its drop_path included) from its initial parameters. `weights`: one array per
 * parameter of the model's inference graph (weights_new()); receives the average when there
 * is one, the parameters otherwise. `test` may be NULL. */
bool train(const struct internimage_config *c, const struct image_set *images,
           const struct image_set *test, const struct train_options *o, float *const *weights,
           struct train_result *result, struct error *e);

#endif
