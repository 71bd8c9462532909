/* A file of predictions: one line per image in the order of the set, `index label first
 * second third fourth fifth`, classes with the best first, -1 for none; lines that start
 * with # are comments. */
#ifndef VERIFY_TRAIN_PREDICTIONS_H
#define VERIFY_TRAIN_PREDICTIONS_H

#include "ref/error.h"

#include <stdint.h>

bool predictions_write(const char *path, int64_t count, const int32_t *label,
                       const int32_t (*best)[5], struct error *e);

struct agreement {
    int64_t images, same, right;        /* same first class; right: theirs */
    int64_t first;                      /* where they differ first: image and classes */
    int32_t label, here, there;
};
/* Compares with the file, which may hold more or fewer images; other labels are an error:
 * the images are not the same. */
bool predictions_compare(const char *path, int64_t count, const int32_t *label,
                         const int32_t (*best)[5], struct agreement *out, struct error *e);

#endif
