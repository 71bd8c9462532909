/* Every activation of the reference to a file, under its PyTorch path: what a port would
 * leave behind, for tests and to try `compare` on. */
#ifndef VERIFY_PORT_DUMP_H
#define VERIFY_PORT_DUMP_H

#include "number.h"

#include "ref/graph.h"

struct dump_options {
    enum number type;           /* keeps its values in this type (number.h) */
    bool nchw;                  /* images as [N,C,H,W] */
    void (*progress)(const char *unit, int done, int total);   /* may be NULL */
    /* Called after each layer with its inputs; changes its value as a mistake would, and the
     * layers after it take the changed one. May be NULL. */
    void (*plant)(void *context, const struct node *n, const float *const *in, float *value);
    void *context;
};

/* ref32 on the image [N,3,H,W]; an HDF5 file, or npz when the path ends so. */
bool dump_write(const struct graph *g, float *const *params, const float *image,
                const char *path, struct dump_options o, struct error *e);

#endif
