/* Moved, turned and scaled images. */
#ifndef VERIFY_TRAIN_WARP_H
#define VERIFY_TRAIN_WARP_H

/* What becomes of an image: scaled and turned about its middle, then moved. */
struct warp {
    double dx, dy;              /* pixels to the right and down */
    double degrees;             /* anticlockwise */
    double scale;               /* 1: as it is; 2: everything twice as large */
};

/* Bilinear on bytes, rounded; black where the image does not reach. Planes [channels,
 * height, width]. */
void warp_image(const struct warp *w, int channels, int height, int width,
                const unsigned char *from, unsigned char *to);

#endif
