/* A plug-in for `internimage verify --plugin`: DCNv3 forward and backward, DCNv2 forward.
 *
 *   cc -O2 -shared -fPIC -Iverify/port docs/plugin.c -lm -o build/plugin.so
 *   build/internimage verify --plugin build/plugin.so
 *
 * Replace the bodies by calls into your own code. What is not exported is skipped. */
#include "plugin.h"

#include <math.h>
#include <stddef.h>

/* The four pixels around a point: offsets into one plane, or -1 outside; bilinear weights,
 * and their derivatives along y and x. */
struct corners {
    long at[4];
    float weight[4], along_y[4], along_x[4];
};

/* Returns 0 when the point is a pixel or more outside, or NaN: it then gives nothing. */
static int find_corners(float y, float x, int height, int width, long step, struct corners *c)
{
    if (!(y > -1 && x > -1 && y < (float)height && x < (float)width))
        return 0;
    const float top = floorf(y), left = floorf(x), ly = y - top, lx = x - left;
    for (int i = 0; i < 4; i++) {
        const long row = (long)top + i / 2, column = (long)left + i % 2;
        const float wy = i / 2 ? ly : 1 - ly, wx = i % 2 ? lx : 1 - lx;
        const int inside = row >= 0 && column >= 0 && row < height && column < width;
        c->at[i] = inside ? (row * width + column) * step : -1;
        c->weight[i] = wy * wx;
        c->along_y[i] = (i / 2 ? 1.0f : -1.0f) * wx;
        c->along_x[i] = (i % 2 ? 1.0f : -1.0f) * wy;
    }
    return 1;
}

static float weigh(const struct corners *c, const float *weight, const float *plane)
{
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += c->at[i] < 0 ? 0 : weight[i] * plane[c->at[i]];
    return sum;
}

/* --- DCNv3 ------------------------------------------------------------------------- */

/* The corners of point p of output pixel (oy, ox); offset: its (x, y) pair. */
static int locate(const struct plugin_dcnv3 *s, int oy, int ox, int p, const float *offset,
                  struct corners *c)
{
    const int middle = s->x.kernel / 2 * s->y.kernel + s->y.kernel / 2;
    const int k = p + (s->remove_center && p >= middle);
    const int column = k / s->y.kernel, row = k % s->y.kernel;
    const int half_y = s->y.dilation * (s->y.kernel - 1) / 2;
    const int half_x = s->x.dilation * (s->x.kernel - 1) / 2;
    const float y = (float)(oy * s->y.stride - s->y.pad + half_y)
                  + s->offset_scale * ((float)(row * s->y.dilation - half_y) + offset[1]);
    const float x = (float)(ox * s->x.stride - s->x.pad + half_x)
                  + s->offset_scale * ((float)(column * s->x.dilation - half_x) + offset[0]);
    return find_corners(y, x, s->height, s->width, s->groups * s->group_channels, c);
}

int internimage_plugin_dcnv3_forward(const struct plugin_dcnv3 *s, const float *input,
                                     const float *offset, const float *mask, float *output)
{
    const int points = s->y.kernel * s->x.kernel - s->remove_center, each = s->group_channels;
    const size_t image = (size_t)s->height * s->width * s->groups * each;
    const int pixels = s->out_height * s->out_width;
    struct corners c;
    for (long q = 0; q < (long)s->batch * pixels; q++)
        for (int g = 0; g < s->groups; g++, output += each)
            for (int p = 0; p < points; p++, offset += 2, mask++) {
                const int pixel = (int)(q % pixels);
                if (!locate(s, pixel / s->out_width, pixel % s->out_width, p, offset, &c))
                    continue;
                for (int i = 0; i < each; i++)
                    output[i] += *mask * weigh(&c, c.weight,
                                               input + q / pixels * image + g * each + i);
            }
    return 0;
}

int internimage_plugin_dcnv3_backward(const struct plugin_dcnv3 *s, const float *input,
                                      const float *offset, const float *mask,
                                      const float *d_output, float *d_input, float *d_offset,
                                      float *d_mask)
{
    const int points = s->y.kernel * s->x.kernel - s->remove_center, each = s->group_channels;
    const size_t image = (size_t)s->height * s->width * s->groups * each;
    const int pixels = s->out_height * s->out_width;
    struct corners c;
    long k = 0;                         /* counts all points */
    for (long q = 0; q < (long)s->batch * pixels; q++)
        for (int g = 0; g < s->groups; g++, d_output += each)
            for (int p = 0; p < points; p++, k++) {
                const int pixel = (int)(q % pixels);
                if (!locate(s, pixel / s->out_width, pixel % s->out_width, p, offset + 2 * k, &c))
                    continue;
                for (int i = 0; i < each; i++) {
                    const size_t plane = q / pixels * image + g * each + i;
                    const float pull = s->offset_scale * mask[k] * d_output[i];
                    d_mask[k] += d_output[i] * weigh(&c, c.weight, input + plane);
                    d_offset[2 * k] += pull * weigh(&c, c.along_x, input + plane);
                    d_offset[2 * k + 1] += pull * weigh(&c, c.along_y, input + plane);
                    for (int n = 0; n < 4; n++)
                        if (c.at[n] >= 0)
                            d_input[plane + c.at[n]] += c.weight[n] * mask[k] * d_output[i];
                }
            }
    return 0;
}

/* --- DCNv2 -------------------------------------------------------------------------- */

/* What input channel i of image n adds to output pixel (oy, ox) through its taps. */
static float channel_sum(const struct plugin_dcnv2 *s, const float *input, const float *offset,
                         const float *mask, const float *taps, int n, int i, int oy, int ox)
{
    const int count = s->y.kernel * s->x.kernel;
    const int set = n * s->offset_groups + i / (s->in_channels / s->offset_groups);
    const size_t pixels = (size_t)s->out_height * s->out_width, at = (size_t)oy * s->out_width + ox;
    const float *plane = input + ((size_t)n * s->in_channels + i) * s->height * s->width;
    float sum = 0;
    struct corners c;
    for (int k = 0; k < count; k++) {
        const float *pair = offset + 2 * ((size_t)set * count + k) * pixels + at;
        const float m = mask ? mask[((size_t)set * count + k) * pixels + at] : 1;
        const int row = k / s->x.kernel, column = k % s->x.kernel;
        const float y = (float)(oy * s->y.stride - s->y.pad + row * s->y.dilation) + pair[0];
        const float x = (float)(ox * s->x.stride - s->x.pad + column * s->x.dilation) + pair[pixels];
        if (find_corners(y, x, s->height, s->width, 1, &c))
            sum += taps[k] * m * weigh(&c, c.weight, plane);
    }
    return sum;
}

int internimage_plugin_dcnv2_forward(const struct plugin_dcnv2 *s, const float *input,
                                     const float *offset, const float *mask, const float *weight,
                                     const float *bias, float *output)
{
    const int channels = s->in_channels / s->groups, outputs = s->out_channels / s->groups;
    const int count = s->y.kernel * s->x.kernel;
    for (int n = 0; n < s->batch; n++)
        for (int o = 0; o < s->out_channels; o++)
            for (int oy = 0; oy < s->out_height; oy++)
                for (int ox = 0; ox < s->out_width; ox++, output++) {
                    *output = bias ? bias[o] : 0;
                    for (int i = 0; i < channels; i++)
                        *output += channel_sum(s, input, offset, mask,
                                               weight + ((size_t)o * channels + i) * count, n,
                                               o / outputs * channels + i, oy, ox);
                }
    return 0;
}

int internimage_plugin_version(void)
{
    return INTERNIMAGE_PLUGIN_VERSION;
}

const char *internimage_plugin_name(void)
{
    return "docs/plugin.c";
}
