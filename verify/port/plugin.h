/* The interface of `internimage verify --plugin`: a shared library that exports some of
 * these functions is run on every case of the judge, beside the reference and the fast side.
 * This header is all a plug-in needs; it is C and C++, see docs/plugins.md.
 *
 *     cc -shared -fPIC -o libmine.so mine.c && internimage verify --plugin ./libmine.so
 *
 * Arrays are dense float32, last dimension fastest. Outputs and gradients come zeroed, and a
 * plug-in may write or add. A function returns 0 when it did the work, anything else when it
 * does not support the shape: such a case is counted as skipped, not as wrong. */
#ifndef INTERNIMAGE_PLUGIN_H
#define INTERNIMAGE_PLUGIN_H

#ifdef __cplusplus
extern "C" {
#endif

#define INTERNIMAGE_PLUGIN_VERSION 1

/* A window along one axis; y is vertical, x horizontal. */
struct plugin_window {
    int kernel, stride, pad, dilation;
};

/* DCNv3 (InternImage, arXiv 2211.05778), NHWC. P = y.kernel * x.kernel - remove_center.
 *   input   [batch, height, width, groups * group_channels]
 *   offset  [batch, out_height, out_width, groups, P, 2]    (x, y) pairs, in pixels
 *   mask    [batch, out_height, out_width, groups, P]       after the softmax
 *   output  [batch, out_height, out_width, groups * group_channels]
 * Points are counted columns first: p = column * y.kernel + row. */
struct plugin_dcnv3 {
    int batch, height, width, out_height, out_width, groups, group_channels;
    struct plugin_window y, x;
    int remove_center;          /* 1: the window's middle point is left out */
    float offset_scale;         /* stretches window and offsets about the window's centre */
};

/* DCNv2 (arXiv 1811.11168) as torchvision.ops.deform_conv2d, NCHW. K = y.kernel * x.kernel.
 *   input   [batch, in_channels, height, width]
 *   offset  [batch, offset_groups * K * 2, out_height, out_width]    (y, x) pairs
 *   mask    [batch, offset_groups * K, out_height, out_width]; NULL: none, DCNv1
 *   weight  [out_channels, in_channels / groups, y.kernel, x.kernel]
 *   bias    [out_channels]; NULL: none
 *   output  [batch, out_channels, out_height, out_width]
 * Taps are counted rows first: k = row * x.kernel + column. */
struct plugin_dcnv2 {
    int batch, in_channels, height, width, out_channels, out_height, out_width;
    int groups, offset_groups;
    struct plugin_window y, x;
};

/* Required: INTERNIMAGE_PLUGIN_VERSION, and a name for the table. */
int internimage_plugin_version(void);
const char *internimage_plugin_name(void);

/* Any of these may be missing. Backward: gradients of sum(output * d_output); d_mask and
 * d_bias are NULL where the forward has no mask or bias. */
int internimage_plugin_dcnv3_forward(const struct plugin_dcnv3 *s, const float *input,
                                     const float *offset, const float *mask, float *output);
int internimage_plugin_dcnv3_backward(const struct plugin_dcnv3 *s, const float *input,
                                      const float *offset, const float *mask,
                                      const float *d_output, float *d_input, float *d_offset,
                                      float *d_mask);
int internimage_plugin_dcnv2_forward(const struct plugin_dcnv2 *s, const float *input,
                                     const float *offset, const float *mask, const float *weight,
                                     const float *bias, float *output);
int internimage_plugin_dcnv2_backward(const struct plugin_dcnv2 *s, const float *input,
                                      const float *offset, const float *mask, const float *weight,
                                      const float *d_output, float *d_input, float *d_offset,
                                      float *d_mask, float *d_weight, float *d_bias);

#ifdef __cplusplus
}
#endif

#endif
