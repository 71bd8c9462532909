/* The tensors of a deformable convolution in the layouts that are in use, and from one to
 * another. All go through one form, DCNv3's:
 *
 *   points  [N, Ho, Wo, G, K, 2]   (x, y) offsets, taps columns first: p = column * Kh + row
 *   mask    [N, Ho, Wo, G, K]
 *
 * with all K = Kh Kw taps: a removed centre is there with a mask of 0. */
#ifndef VERIFY_PORT_CONVERT_H
#define VERIFY_PORT_CONVERT_H

#include "datasets/tensors.h"
#include "ref/error.h"

#include <stdbool.h>
#include <stdint.h>

enum convention_layout {
    LAYOUT_DCNV2,       /* torchvision, mmcv, ncnn, ONNX: `offset` [N, G K 2, Ho, Wo] (y, x)
                           pairs, taps rows first; `mask` [N, G K, Ho, Wo] */
    LAYOUT_CONV_OFFSET, /* what mmcv's and CharlesShang's pack computes before the sigmoid:
                           `conv_offset` [N, 3 G K, Ho, Wo], chunks (o1, o2, mask logits), the
                           first two being DCNv2's `offset` end to end */
    LAYOUT_DCNV3,       /* `offset` [N, Ho, Wo, G P 2], `mask` [N, Ho, Wo, G P] */
    LAYOUT_DCNV4,       /* `offset_mask` [N, Ho, Wo, 3 G P rounded up to 8]: per group 2 P
                           offsets, then P masks */
    LAYOUTS
};
extern const char *const layout_names[LAYOUTS];

/* What the tensors themselves do not say. */
struct convert_window {
    int kernel_h, kernel_w, dilation_h, dilation_w;
    double offset_scale;        /* of the DCNv3 or DCNv4 side; DCNv2 has none */
    bool remove_center;         /* of the DCNv3 or DCNv4 side: P = K - 1 */
    int groups;                 /* 0: told from the shapes */
};

struct taps {
    int64_t batch, height, width, groups;   /* height, width: of the output */
    struct convert_window window;
    double *offset, *mask;      /* mask NULL: there is none (DCNv1) */
};
void taps_free(struct taps *t);

/* A dense tensor. */
struct array {
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
    double *data;
};
int64_t array_count(const struct array *a);
bool array_new(struct array *a, int rank, const int64_t *dim, struct error *e);

/* Reading: `first` is offset, conv_offset or offset_mask; `mask` is NULL where the layout has
 * none or the file has none. */
bool taps_from(struct taps *t, enum convention_layout from, const struct convert_window *w,
               const struct array *first, const struct array *mask, struct error *e);
/* Writing; data is allocated, mask->data NULL where there is none. Refused: a mask no sigmoid
 * gives (conv_offset), a centre that is not 0 (remove_center), a missing mask. */
bool taps_to(const struct taps *t, enum convention_layout to, const struct convert_window *w,
             struct array *first, struct array *mask, struct error *e);

/* [N, C, P] to [N, P, C]. */
void swap_last(int64_t batch, int64_t rows, int64_t columns, const double *from, double *to);

/* --- files: convert_file.c, convert_weights.c ------------------------------------------ */

struct convert_names {
    const char *input, *offset, *mask;  /* NULL: the layout's own; a missing input is fine */
};
/* Reads any file of tensors.h; writes npz when the name ends in .npz, else HDF5. From DCNv3 or
 * DCNv4 to DCNv2 a `weight` of ones [C, 1, Kh, Kw] is written along with the input: with
 * groups = C, DCNv2 on these tensors is DCNv3 on those. */
bool convert_file(const char *in, const char *out, enum convention_layout from,
                  enum convention_layout to, const struct convert_window *w,
                  const struct convert_names *names, struct error *e);

/* Weights of a model without remove_center to those of one with it: the rows of the middle
 * point leave every offset and mask layer, as the official loader does. */
bool convert_weights(const char *in, const char *out, struct error *e);

#endif
