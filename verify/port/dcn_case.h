/* One case of DCNv1, DCNv2 or DCNv3: a shape, its name, and seeded tensors for it. */
#ifndef VERIFY_PORT_DCN_CASE_H
#define VERIFY_PORT_DCN_CASE_H

#include "verify/golden.h"

/* Where the sampling points lie. */
enum offsets {
    OFFSETS_RANDOM,             /* uniform in +-spread */
    OFFSETS_INTEGER,            /* rounded: exactly on pixels, on -1, on H and W */
    OFFSETS_HALF,               /* halfway between pixels */
    OFFSETS_ZERO,
    OFFSETS_FAR,                /* a seventh of them NaN, infinite or huge: these give 0 */
};

struct dcn_case {
    enum op_kind op;            /* OP_dcnv2 or OP_dcnv3 */
    int batch, height, width;
    int groups;                 /* DCNv3's groups; DCNv2's weight groups */
    int group_channels;         /* DCNv3 */
    int in_channels, out_channels, offset_groups;   /* DCNv2 */
    struct window y, x;         /* a stride or dilation of 0 means 1 */
    double offset_scale;        /* DCNv3; 0 means 1 */
    bool remove_center;         /* DCNv3 */
    bool no_mask, no_bias;      /* DCNv2; without mask it is DCNv1 */
    enum offsets offsets;
    double spread;              /* of random offsets, in pixels; 0 means 3 */
};

/* Reproduction string as in docs/formats.md: "dcnv3 n2h7w11g3c8k3x5s1x2p1x2d1x2o1.5". */
void dcn_case_name(const struct dcn_case *c, char *name, size_t size);
/* The graph of one op with inputs, mask and parameters from the seeded generator (seed 1,
 * streams "<name>/<tensor>"); not run yet. */
bool dcn_case_new(const struct dcn_case *c, struct pair *p, struct error *e);
/* dL/d(output) of the case, stream "<name>/grad_output"; the caller frees. */
float *dcn_case_d_output(const struct dcn_case *c, const struct pair *p, struct error *e);

#endif
