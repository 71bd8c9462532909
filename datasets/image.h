/* Images as the network wants them. */
#ifndef DATASETS_IMAGE_H
#define DATASETS_IMAGE_H

#include "ref/error.h"

/* Reads a binary PPM (P6, 8 bit) and normalises it with ImageNet's mean and standard
 * deviation: [3, height, width] float32, in the network's order. The caller frees. */
float *image_read(const char *path, int *height, int *width, struct error *e);

#endif
