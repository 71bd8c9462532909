/* The sloppy implementation behind conventions.h, one file per kind of op. Not for others. */
#ifndef VERIFY_SLIPS_H
#define VERIFY_SLIPS_H

#include "verify/port/conventions.h"

/* What a port gets wrong: nothing, one or two things. */
struct slip {
    const struct convention *first, *second;
};

static inline bool slipped(const struct slip *s, enum mistake m)
{
    return (s->first && s->first->id == m) || (s->second && s->second->id == m);
}

/* Kernel, stride, pad and dilation as the port uses them. */
void slip_windows(const struct slip *s, const struct node *n, struct window *y, struct window *x);

/* All output channels of some output pixels, [pixels, channels]; `pixel` NULL means all. */
bool slip_dcn(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
              const int64_t *pixel, int64_t pixels, double *out, struct error *e);
bool slip_conv(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
               const int64_t *pixel, int64_t pixels, double *out, struct error *e);

/* Everything that is not a sliding window: the whole output in the node's layout. */
bool slip_norm(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
               double *out, struct error *e);
void slip_rows(const struct slip *s, const struct node *n, const struct ref64_op_args *a,
               double *out);

/* The image as a port with the preprocessing mistake would have fed it: [N,H,W,3] in and
 * out, normalised with ImageNet's mean and standard deviation. */
void slip_image(const struct slip *s, int64_t pixels, const double *image, double *out);

#endif
