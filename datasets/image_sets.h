/* Inside of images.h: each kind of set fills everything but its name. */
#ifndef DATASETS_IMAGE_SETS_H
#define DATASETS_IMAGE_SETS_H

#include "images.h"

enum { MOST_SIDE = 4096 };           /* of an image, and of what it is scaled to */

bool fashion_mnist_read(struct image_set *s, const char *directory, bool train, struct error *e);
bool cifar10_read(struct image_set *s, const char *directory, bool train, struct error *e);
bool pack_open(struct image_set *s, const char *path, struct error *e);
bool pack_get(const struct image_set *s, int64_t index, unsigned char *out, struct error *e);
void pack_close(struct image_set *s);

#endif
