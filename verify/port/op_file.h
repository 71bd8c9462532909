/* One op of a port out of one file: its inputs, parameters, attributes and its output, for
 * `diagnose FILE`. Any format of datasets/tensors.h.
 *
 * Tensors are called as in docs/formats.md (input, offset, mask, weight, bias, output; "in."
 * or "param." before the name is fine). Attributes come from options, or else from the file:
 * an HDF5 attribute or a tensor of one or two values called stride, pad, dilation, kernel,
 * groups, offset_groups, offset_scale, remove_center, eps ... or stride_h and stride_w. What
 * the shapes tell (DCNv2's kernel and groups, DCNv3's square kernel) need not be given. */
#ifndef VERIFY_OP_FILE_H
#define VERIFY_OP_FILE_H

#include "verify/port/number.h"

#include "ref/ref.h"

/* Texts as given on the command line: "3", "3,5" (vertical, horizontal); NULL: not given. */
struct op_options {
    const char *op, *kernel, *stride, *pad, *dilation, *groups, *offset_groups, *offset_scale;
    const char *remove_center, *eps, *points, *factor, *heads;
};

struct op_file {
    struct graph *graph;
    const struct node *node;            /* the op: the graph's last node */
    struct ref64_run *r64;              /* both run, with the file's inputs */
    struct ref32_run *r32;              /* in the port's type: what it loses is honest */
    double *output;                     /* the port's, in the node's order */
    bool permuted;                      /* DCNv3 in NCHW, DCNv2 in NHWC */
};

bool op_file_read(const char *path, const struct op_options *o, enum number type,
                  struct op_file *f, struct error *e);
void op_file_free(struct op_file *f);

#endif
