/* The fast kernels of one ISA: a table of functions, filled once (like a codec's DSP
 * context). float32, NHWC; `ld*` are distances between rows in floats. No kernel
 * allocates; scratch comes from the caller. */
#ifndef OPT_KERNELS_H
#define OPT_KERNELS_H

#include "ref/error.h"
#include "ref/shapes.h"

#include <stddef.h>
#include <stdint.h>

/* C = epilogue(A B^T): A [m, k] row-major; B, PyTorch's [n, k], packed by pack();
 * C [m, n]. */
struct gemm {
    int n, k;
    const float *packed;        /* gemm_packed_size() floats, 64-byte aligned */
    const float *bias;          /* [n], or NULL */
    bool gelu;
    /* When not 0: rows are pixels of images of this size and go to the inside of a frame
     * (see dcnv3_plan) instead of one after the other. */
    int frame_height, frame_width;
};

/* Sampling of a DCNv3 layer. The value tensor lies in a frame: each image has a border
 * of one zero pixel all around, so that a coordinate clamped to [-1, size] needs no other
 * test: whatever lies out there is zero. The offset branch's linear layer writes, per
 * pixel, `taps` x offsets, `taps` y offsets and `taps` modulation logits, each ordered
 * group, point; 16 floats after the last row must be readable. */
struct dcnv3_plan {
    int height, width;                  /* of the input image, without border */
    int out_height, out_width;
    int groups, group_channels, points, taps;   /* taps: groups * points */
    int stride_y, stride_x;
    float offset_scale;
    const float *base_y, *base_x;       /* [taps, padded]: frame position of each tap at
                                           output pixel (0, 0), offsets left aside */
    bool softmax;                       /* the third plane holds logits, not modulations */
};

/* Sampling of a DCNv2 layer: torchvision's offset and mask planes, the image in a frame. */
struct dcnv2_plan {
    int channels, height, width;        /* of the image, without border */
    int out_height, out_width, offset_groups;
    int kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
};
enum { DCNV2_ROWS = 48 };               /* most pixels per call: whole cache lines of a plane */

struct dwconv {
    int height, width, channels, kernel;
    const float *weight, *bias;         /* [kernel * kernel][channels], [channels] */
};

/* One step of AdamW, see trainer_adamw(). */
struct adamw_factors {
    float keep, b1, b2, in1, in2, eps, size, clip;
};

struct kernels {
    const char *isa;
    int lanes, panel;                   /* panel: columns of C per packed panel */

    size_t (*gemm_packed_size)(int n, int k);
    void (*gemm_pack)(int n, int k, const float *weight, float *packed);
    /* Rows m0..m1 of C, columns of the panels [first, last); a, c and residual point to
     * their row 0. residual (may be NULL) is added last; it may be C itself. */
    void (*gemm)(const struct gemm *g, int64_t m0, int64_t m1, const float *a, int lda, float *c,
                 int ldc, const float *residual, int ldr, int first, int last);

    /* y = (x - mean) / sqrt(var + eps) * weight + bias per row, then GELU if asked, then
     * + residual if not NULL. y may be x. */
    void (*layer_norm)(int rows, int channels, float eps, const float *x, int ldx,
                       const float *weight, const float *bias, bool gelu,
                       const float *residual, int ldr, float *y, int ldy);
    /* Depthwise convolution, stride 1, same size, output rows [y0, y1) of one image. */
    void (*dwconv)(const struct dwconv *d, const float *x, int y0, int y1, float *y);
    /* Output rows [y0, y1) of one image, value: its frame. `branch`: what the offset branch
     * says of the first pixel of row y0, pixels ldb apart; scratch: dcnv3_scratch() floats, 64-byte aligned. */
    void (*dcnv3)(const struct dcnv3_plan *p, const float *value, const float *branch, int ldb,
                  int y0, int y1, float *scratch, float *out);
    /* Rows [first, first + rows) of the pixels of one image: a[row][tap][channel], the left
     * factor of the product with the weights. mask may be NULL. */
    void (*dcnv2)(const struct dcnv2_plan *p, const float *value, const float *offset,
                  const float *mask, int first, int rows, float *a, int lda);
    /* y[column][row] = x[row][column]: to and from the planes of NCHW. */
    void (*transpose)(int rows, int columns, const float *x, int64_t ldx, float *y, int64_t ldy);
    /* output = core (1 - sigmoid(logit)) + value sigmoid(logit), logit per group. */
    void (*center_scale)(int rows, int groups, int group_channels, const float *core,
                         const float *value, const float *logits, int ldl, float *out);

    void (*gelu)(int64_t count, const float *x, float *y);
    void (*sigmoid)(int64_t count, const float *x, float *y);
    void (*add)(int64_t count, const float *a, const float *b, float *y);
    /* y[c] = mean over rows of x[row][c]. */
    void (*mean_rows)(int rows, int channels, const float *x, float *y);
    void (*softmax)(int64_t rows, int points, const float *x, float *y);

    /* Gradients. Every one ADDS to its d_ arguments. */
    void (*add_to)(int64_t count, const float *x, float *y);
    /* y = x, or y += x, for `count` pieces of n floats, ldx and ldy apart, one after the other. */
    void (*copy_pieces)(int count, int n, const float *x, int64_t ldx, float *y, int64_t ldy);
    void (*add_pieces)(int count, int n, const float *x, int64_t ldx, float *y, int64_t ldy);
    void (*gelu_backward)(int64_t count, const float *x, const float *d_y, float *d_x);
    void (*softmax_backward)(int64_t rows, int points, const float *y, const float *d_y, float *d_x);
    void (*layer_norm_backward)(int rows, int channels, float eps, const float *x,
                                const float *weight, const float *d_y, float *d_x,
                                float *d_weight, float *d_bias);
    void (*column_sums)(int64_t rows, int channels, const float *x, float *sums);
    void (*scale_rows)(int64_t rows, int channels, const float *x, const float *gamma, float *y);
    void (*scale_rows_backward)(int64_t rows, int channels, const float *x, const float *gamma,
                                const float *d_y, float *d_x, float *d_gamma);
    /* Weights [kernel * kernel][channels] and bias, from output rows [y0, y1) of one image;
     * d_y: from row y0 on. (The input's gradient is a depthwise convolution itself.) */
    void (*dwconv_backward)(const struct dwconv *d, const float *x, const float *d_y, int y0,
                            int y1, float *d_weight, float *d_bias);
    /* Groups [g0, g1) of one image; frame and d_frame as in dcnv3_plan, the rest dense. */
    void (*dcnv3_backward)(const struct dcnv3_shape *s, int g0, int g1, const float *frame,
                           const float *offset, const float *mask, const float *d_out,
                           float *d_frame, float *d_offset, float *d_mask);
    /* d_a: gradient of dcnv2's `a`, before the mask. */
    void (*dcnv2_backward)(const struct dcnv2_plan *p, const float *frame, const float *offset,
                           const float *mask, int first, int rows, const float *d_a, int lda,
                           float *d_frame, float *d_offset, float *d_mask);
    void (*add_scaled)(int64_t count, float scale, const float *x, float *y);   /* y += scale x */

    /* The optimizer: m = b1 m + in1 clip g, v = b2 v + in2 (clip g)^2,
     * p = keep p - size m / (sqrt(v) + eps); and y = keep y + (1 - keep) x. */
    void (*adamw)(int64_t count, const struct adamw_factors *f, const float *g, float *m, float *v,
                  float *p);
    void (*blend)(int64_t count, float keep, const float *x, float *y);
    double (*peak)(int64_t rounds);     /* FMA loop: returns floating-point operations done */
};

/* Sizes the kernels agree on, the same for every ISA. */
static inline int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}
static inline size_t dcnv3_scratch(const struct dcnv3_plan *p)
{
    return (size_t)round_up(p->taps, 16) * 6 + (size_t)p->groups + 64;
}
/* Floats of a frame for n images; what lies below the last border row can be read. */
static inline size_t frame_size(int n, int height, int width, int channels)
{
    return (((size_t)n * (height + 2) + 1) * (width + 2) + 2) * channels + 64;
}
/* Where pixel m, counted through all images, lies in the frame, in pixels. */
static inline int64_t frame_row(int64_t m, int height, int width)
{
    const int64_t y = m / width;
    return (y / height * (height + 2) + y % height + 1) * (width + 2) + m % width + 1;
}

/* The best table this CPU has; INTERNIMAGE_ISA or `isa` (may be NULL) lowers it:
 * generic, avx2, avx512. NULL after filling *e when that one cannot run here. */
const struct kernels *kernels_select(const char *isa, struct error *e);
/* Tables in rising order; NULL where this CPU cannot run it or it was not built. */
enum { KERNEL_TABLES = 3 };
extern const char *const kernel_names[KERNEL_TABLES];
const struct kernels *kernels_at(int index);

#endif
