#include "warp.h"

#include <math.h>

static double at(const unsigned char *plane, int height, int width, int y, int x)
{
    return y < 0 || x < 0 || y >= height || x >= width ? 0 : plane[y * width + x];
}

static double sample(const unsigned char *plane, int height, int width, double y, double x)
{
    const int y0 = (int)floor(y), x0 = (int)floor(x);
    const double fy = y - y0, fx = x - x0;
    return (1 - fy) * ((1 - fx) * at(plane, height, width, y0, x0)
                       + fx * at(plane, height, width, y0, x0 + 1))
         + fy * ((1 - fx) * at(plane, height, width, y0 + 1, x0)
                 + fx * at(plane, height, width, y0 + 1, x0 + 1));
}

/* Each output pixel looks up where it came from. */
void warp_image(const struct warp *w, int channels, int height, int width,
                const unsigned char *from, unsigned char *to)
{
    const double angle = w->degrees * acos(-1) / 180, c = cos(angle), s = sin(angle);
    const double cy = 0.5 * (height - 1), cx = 0.5 * (width - 1);
    for (int k = 0; k < channels; k++, from += height * width)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++, to++) {
                /* rows run downwards: anticlockwise turns x towards -y */
                const double rx = x - w->dx - cx, ry = y - w->dy - cy;
                const double sx = cx + (c * rx - s * ry) / w->scale;
                const double sy = cy + (s * rx + c * ry) / w->scale;
                *to = (unsigned char)(sample(from, height, width, sy, sx) + 0.5);
            }
}
