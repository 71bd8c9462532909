/* The HDF5 weight file of docs/formats.md. */
#ifndef DATASETS_WEIGHTS_FILE_H
#define DATASETS_WEIGHTS_FILE_H

#include "ref/internimage.h"

/* Only the architecture. */
bool weights_config(const char *path, struct internimage_config *c, struct error *e);

/* Reads every parameter and buffer of the graph; out[i] has shape_count() values of
 * graph parameter i. A missing key or another shape is an error. */
bool weights_read(const char *path, const struct graph *g, float *const *out, struct error *e);

/* Writes all of them, and the configuration. */
bool weights_write(const char *path, const struct internimage_config *c, const struct graph *g,
                   float *const *values, struct error *e);

/* The same as float16, deflated: a third of the size. */
bool weights_write_half(const char *path, const struct internimage_config *c,
                        const struct graph *g, float *const *values, struct error *e);

/* One float array per parameter of the graph; free with weights_free(). */
float **weights_new(const struct graph *g, struct error *e);
void weights_free(const struct graph *g, float **values);

#endif
