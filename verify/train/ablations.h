/* The ablations: an architecture with one thing changed, and what the paper says of it. */
#ifndef VERIFY_TRAIN_ABLATIONS_H
#define VERIFY_TRAIN_ABLATIONS_H

#include "ref/internimage.h"

struct ablation {
    const char *name;           /* on the command line, in files */
    const char *family;         /* the question it belongs to */
    const char *what;           /* a few words */
    const char *where;          /* in the paper; NULL: not there */
    double top1;                /* the paper's, T on ImageNet-1K, %; 0: not published */
    /* What changes; zero: nothing. */
    enum modulation modulation;
    bool fixed_offsets, unshared, one_group, layer_scale;
    int kernel_size;
    const char *pattern;        /* depths: A is the level's usual depth, B that of level 2 */
    double phi;
};

/* The grid, "base" first; a NULL name ends it. */
extern const struct ablation ablations[];

/* NULL after filling *e. */
const struct ablation *ablation_named(const char *name, struct error *e);
/* Changes the architecture; its name becomes the ablation's. */
bool ablation_apply(const struct ablation *a, struct internimage_config *c, struct error *e);

#endif
