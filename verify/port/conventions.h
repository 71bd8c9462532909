/* The catalogue of wrong conventions: every known way in which a port of deformable
 * convolution or of InternImage goes wrong, as something that can be run.
 *
 * One table (the rows are in mistakes_*.def, the stories behind them in families.def) is
 * read by `diagnose` (which mistake reproduces this output?), `explain` and
 * docs/mistakes.md (what is it, how is it put right?) and `vectors --score` (does this
 * suite notice it?). The reference itself knows nothing of mistakes: what runs them is a
 * deliberately sloppy second implementation, slip_*.c, with a switch for each. Two
 * mistakes at once are two switches. */
#ifndef VERIFY_CONVENTIONS_H
#define VERIFY_CONVENTIONS_H

#include "ref/ref.h"

#include <stdbool.h>

enum mistake {
#define MISTAKE(code, family, aspect, ops, title, symptom, fix) code,
#include "mistakes_dcn.def"
#include "mistakes_rows.def"
#include "mistakes_model.def"
#undef MISTAKE
    MISTAKES
};

enum family {
#define FAMILY(code, title, story, evidence, figure) FAMILY_##code,
#include "families.def"
#undef FAMILY
    FAMILIES
};

/* What a mistake is about. Two answers to the same question exclude each other, so a pair
 * of mistakes makes sense only across aspects. */
enum aspect {
    PAIR_ORDER, OFFSET_LAYOUT, OFFSET_SIGN, POINT_ORDER, MASK_ORDER, WEIGHT_ORDER, WEIGHT_FLIP,
    WEIGHT_LAYOUT, GROUP_CHOICE, GROUP_LAYOUT, WEIGHT_GROUPS, PITCH, STRIDE, PADDING, DILATION,
    KERNEL, GRID, BORDER, SAMPLING, AXES, MEMORY, SCALE, CENTRE, NUMBER, MODULATION, BIAS,
    NORM_EPS, NORM_VARIANCE, NORM_AXIS, NORM_AFFINE, NORM_STATISTICS, WHOLE, NORM_PLACE, COLOUR
};

struct convention {
    enum mistake id;            /* its index in the table */
    enum family family;
    enum aspect aspect;
    uint32_t ops;               /* bit 1 << OP_... for each op it can befall */
    const char *code;           /* "XY01" */
    const char *title;          /* what the port does, one line */
    const char *symptom;        /* what one sees */
    const char *fix;            /* one sentence */
};

struct convention_family {
    const char *code, *title;
    const char *story;          /* what people do, and why it goes wrong */
    const char *evidence;       /* where it has happened, with the source */
    const char *figure;         /* a few lines of text */
};

const struct convention *convention_at(int index);              /* 0 <= index < MISTAKES */
const struct convention_family *convention_family(enum family f);
const struct convention *convention_find(const char *code);     /* any case; NULL: none */

/* Whether the mistake can befall this node: the op, and the attributes that it needs. It
 * may still change nothing there (strides swapped where they are equal): compare the
 * results. Mistakes about a block rather than one op (NORM_PLACE) apply to no node, see
 * plant.h; those about the image (COLOUR) apply to the convolution that reads it. */
bool convention_applies(const struct convention *c, const struct node *n);

/* Whether both can be made at once: different aspects, both applicable. */
bool convention_pair(const struct convention *a, const struct convention *b,
                     const struct node *n);

/* The node's output under a mistake, in double, from its inputs and parameters (`in` and
 * `param` of the arguments; nothing else is read): shape_count(&n->shape) values, in the
 * node's layout. The node need not belong to a graph, its in[] must carry shapes. False,
 * with *e filled, when memory is short. `second` may be NULL; `first` NULL computes the
 * correct result. */
bool convention_apply(const struct convention *first, const struct convention *second,
                      const struct node *n, const struct ref64_op_args *args, double *out,
                      struct error *e);

/* The same at some output pixels only, for trying many: `pixel` are flat indices
 * (n * Ho + y) * Wo + x, out gets [pixels, channels] whatever the node's layout. Only for
 * ops where convention_by_pixel() holds. */
bool convention_by_pixel(const struct node *n);
bool convention_apply_at(const struct convention *first, const struct convention *second,
                         const struct node *n, const struct ref64_op_args *args,
                         const int64_t *pixel, int64_t pixels, double *out, struct error *e);

#endif
