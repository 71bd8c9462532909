/* Accuracy of a model on an image set. */
#ifndef VERIFY_TRAIN_EVALUATE_H
#define VERIFY_TRAIN_EVALUATE_H

#include "train.h"

struct evaluate_options {
    enum engine engine;
    int batch, threads;                 /* 0: 50, as many as OpenMP would use */
    int size;                           /* see struct view */
    int64_t limit;                      /* images; 0: all */
    bool progress;
};

struct evaluation {
    int64_t images, top1, top5;
    double loss;                        /* mean cross-entropy, no smoothing */
    double seconds;
};

/* `weights`: per parameter of the inference graph. `predictions` may be NULL; receives the
 * five best classes of each image, the best first, -1 where there are fewer classes. */
bool evaluate(const struct internimage_config *c, float *const *weights,
              const struct image_set *images, const struct evaluate_options *o,
              int32_t (*predictions)[5], struct evaluation *out, struct error *e);

#endif
