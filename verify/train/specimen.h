/* A model with its parameters and the images it is looked at with: what the analyses of
 * the paper's appendix start from. */
#ifndef VERIFY_TRAIN_SPECIMEN_H
#define VERIFY_TRAIN_SPECIMEN_H

#include "datasets/images.h"
#include "ref/internimage.h"

struct specimen_options {
    const char *model;          /* a named variant ... */
    const char *init;           /* ... with "initial" (as training starts) or "seeded" numbers */
    const char *weights;        /* or a weight file, whose architecture it then is */
    const char *image;          /* one PPM ... */
    const char *data, *data_dir;    /* ... or the test images of a set, */
    int size;                   /* scaled to this side; 0: as the weight file was trained */
};

struct specimen {
    struct internimage_config config;
    int height, width, size;    /* of the input; size: see struct view */
    float **params;             /* per parameter of the inference graph */
    struct image_set *images;   /* NULL: one image */
    float *image;
    struct graph *graph;        /* for one image */
};

bool specimen_open(struct specimen *s, const struct specimen_options *o, struct error *e);
void specimen_close(struct specimen *s);
int64_t specimen_count(const struct specimen *s);
/* Image `index`, normalised, [3, height, width]. */
bool specimen_image(const struct specimen *s, int64_t index, float *out, struct error *e);

#endif
