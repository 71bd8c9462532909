/* Batches of an image set. Which image comes when, its crop and its flip depend on seed,
 * epoch and position alone: a resumed run sees what the killed one would have seen. */
#ifndef VERIFY_TRAIN_LOADER_H
#define VERIFY_TRAIN_LOADER_H

#include "datasets/images.h"

struct loader {
    const struct image_set *images;
    struct view view;
    int batch, threads;
    int64_t *order, count;              /* NULL: as in the file */
    uint64_t seed, epoch;
    unsigned char *pixel;               /* [batch] images */
    int32_t *label;                     /* [batch] */
};

bool loader_new(struct loader *l, const struct image_set *images, const struct view *view,
                int batch, int threads, struct error *e);
void loader_free(struct loader *l);

/* A new order of the first `count` images; from now on with crops and flips. */
bool loader_shuffle(struct loader *l, int64_t count, uint64_t seed, uint64_t epoch,
                    struct error *e);

/* Images at positions [first, first + count), count <= batch, into label and
 * input [batch, 3, height, width]. */
bool loader_fill(struct loader *l, int64_t first, int count, float *input, struct error *e);

#endif
