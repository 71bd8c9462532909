/* Labelled images for training and for measuring accuracy (docs/training.md):
 *   fashion-mnist   the four idx.gz files (28x28 grey, 10 classes)
 *   cifar10         the official binary version (32x32, 10 classes)
 *   FILE.h5         a pack (pack_imagenet.py): images [N, 3, H, W] or [N, H, W, 3], labels [N]
 *
 * Files are hostile, see h5.h: every size is checked before anything is allocated, every
 * failure is EXIT_BAD_FILE and one sentence. */
#ifndef DATASETS_IMAGES_H
#define DATASETS_IMAGES_H

#include "ref/error.h"

#include <stdbool.h>
#include <stdint.h>

struct tensor_file;

struct image_set {
    char name[32];                      /* "fashion-mnist", "cifar10", "pack" */
    char note[96];                      /* how a pack is read; empty for the others */
    int64_t count;
    int channels, height, width, classes;
    float mean[3], deviation[3];        /* of the training images, for values of 0..1 */
    int32_t *label;                     /* [count] */
    unsigned char *pixel;               /* [count, channels, height, width]; NULL: a pack */
    struct tensor_file *file;           /* the pack, read image by image */
    int tensor;
    bool nhwc;                          /* how it stores them */
};

/* `what` as above; `directory` (NULL: the usual places) holds the files of the first two,
 * `train` says which half of them. NULL after filling *e. */
struct image_set *images_open(const char *what, const char *directory, bool train,
                              struct error *e);
void images_close(struct image_set *s);                 /* NULL is fine */

/* Image `index`, planes [channels, height, width], into `out`. One thread at a time. */
bool images_get(const struct image_set *s, int64_t index, unsigned char *out, struct error *e);

/* How an image becomes the network's input. */
struct view {
    int size;                   /* side of the square it is scaled to, bilinear, at most
                                   4096; 0: as it is */
    int pad;                    /* random crop: moved by up to so many pixels, zeros around it */
    bool flip;                  /* mirrored left to right, every second time */
};

/* out [3, side, side']: normalised; grey images three times. `random` decides on crop and
 * flip: the same number gives the same view. */
void image_view(const struct image_set *s, const struct view *v, const unsigned char *pixel,
                uint64_t random, float *out);

#endif
