/* libinternimage: InternImage on the CPU. The only header a program needs.
 *
 *   struct internimage *m = internimage_load("t.h5", 1, 224, 224, 0, NULL, 0);
 *   internimage_run(m, image, logits);
 *   internimage_free(m);
 *
 * An object is compiled for one batch and image size; running it allocates nothing. Two
 * objects may run at the same time in two threads; one object may not. */
#ifndef INTERNIMAGE_H
#define INTERNIMAGE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct internimage;

/* Loads an HDF5 weight file (convert_checkpoint.py makes it from an official checkpoint)
 * and compiles it for images [batch, 3, height, width]. threads 0: all. On failure returns
 * NULL and puts one sentence into `why` (of `size` bytes; may be NULL). */
struct internimage *internimage_load(const char *path, int batch, int height, int width,
                                     int threads, char *why, size_t size);
/* The same for a named model ("t", "s", "b", "l", "xl", "h", "g") with seeded weights. */
struct internimage *internimage_seeded(const char *name, int batch, int height, int width,
                                       int threads, char *why, size_t size);
void internimage_free(struct internimage *m);

/* image: float32 [batch, 3, height, width], RGB, normalised with ImageNet's mean
 * (.485 .456 .406) and deviation (.229 .224 .225); logits: [batch, classes]. */
void internimage_run(struct internimage *m, const float *image, float *logits);
int internimage_classes(const struct internimage *m);

/* Feature map of level 0..3 (stride 4, 8, 16, 32) of the last run, float32 [batch, height,
 * width, channels], valid until the next. NULL when there is no such level. */
const float *internimage_feature(const struct internimage *m, int level, int *height, int *width,
                                 int *channels);

/* "generic", "avx2" or "avx512"; the environment variable INTERNIMAGE_ISA lowers it. */
const char *internimage_isa(const struct internimage *m);

#ifdef __cplusplus
}
#endif

#endif
