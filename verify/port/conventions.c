/* The table of mistakes and what can be asked of it. */
#include "verify/port/conventions.h"
#include "verify/port/slips.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Sets of ops, in the rows' words. */
#define OPS(name)   (1u << OP_##name)
#define DCN3        OPS(dcnv3)
#define DCN2        OPS(dcnv2)
#define DCN         (DCN2 | DCN3)
#define MIXING      (DCN2 | OPS(conv2d))            /* weights between channels */
#define WEIGHTED    (MIXING | OPS(dwconv2d))        /* weights per tap */
#define WINDOWED    (DCN | OPS(conv2d) | OPS(dwconv2d))
#define IMAGES      (WINDOWED | OPS(to_nhwc) | OPS(to_nchw))
#define NORMS       (OPS(layer_norm) | OPS(batch_norm))
#define ACTIVATIONS (OPS(gelu) | OPS(relu) | OPS(silu) | OPS(sigmoid))
#define IMAGE       OPS(conv2d)

static const struct convention table[MISTAKES] = {
#define MISTAKE(id, family, aspect, ops, title, symptom, fix) \
    [id] = {id, FAMILY_##family, aspect, ops, #id, title, symptom, fix},
#include "mistakes_dcn.def"
#include "mistakes_rows.def"
#include "mistakes_model.def"
#undef MISTAKE
};

static const struct convention_family families[FAMILIES] = {
#define FAMILY(code, title, story, evidence, figure) \
    [FAMILY_##code] = {#code, title, story, evidence, figure},
#include "families.def"
#undef FAMILY
};

const struct convention *convention_at(int index)
{
    return &table[index];
}

const struct convention_family *convention_family(enum family f)
{
    return &families[f];
}

const struct convention *convention_find(const char *code)
{
    for (int i = 0; i < MISTAKES; i++)
        if (!strcasecmp(table[i].code, code))
            return &table[i];
    return NULL;
}

/* The convolution that reads the image: three channels from the graph's input. */
static bool reads_image(const struct node *n)
{
    const struct node *in = n->in[0];
    while (in && in->op == OP_to_nhwc)
        in = in->in[0];
    return in && in->op == OP_input && n->in[0]->shape.rank == 4 && n->in[0]->shape.dim[3] == 3
        && n->attr.groups == 1;
}

bool convention_applies(const struct convention *c, const struct node *n)
{
    const struct attr *a = &n->attr;
    if (!(c->ops >> n->op & 1))
        return false;
    if (c->aspect == COLOUR)
        return reads_image(n);
    switch (c->id) {
    case LN07: case LN08: return n->shape.rank == 4;
    case LN05: return shape_last(&n->shape) > 1;
    case RC01: return a->remove_center;
    case RC02: return !a->remove_center && a->y.kernel * a->x.kernel > 1;
    case BI01: return n->params > 1;
    case IO01: return (a->y.stride > 1 || a->x.stride > 1) && !reads_image(n);
    default: return true;
    }
}

bool convention_pair(const struct convention *a, const struct convention *b, const struct node *n)
{
    if (a->aspect == b->aspect || a->aspect == WHOLE || b->aspect == WHOLE)
        return false;
    return convention_applies(a, n) && convention_applies(b, n);
}

bool convention_by_pixel(const struct node *n)
{
    return WINDOWED >> n->op & 1;
}

bool convention_apply_at(const struct convention *first, const struct convention *second,
                         const struct node *n, const struct ref64_op_args *args,
                         const int64_t *pixel, int64_t pixels, double *out, struct error *e)
{
    const struct slip s = {first, second};
    return DCN >> n->op & 1 ? slip_dcn(&s, n, args, pixel, pixels, out, e)
                            : slip_conv(&s, n, args, pixel, pixels, out, e);
}

/* All pixels, and back into NCHW where the op has that. */
static bool apply_windowed(const struct slip *s, const struct node *n,
                           const struct ref64_op_args *args, double *out, struct error *e)
{
    const struct shape *to = &n->shape;
    const bool nchw = n->op == OP_dcnv2;
    const int64_t channels = to->dim[nchw ? 1 : 3], count = shape_count(to);
    const int64_t area = count / channels / to->dim[0];
    double *rows = nchw ? malloc((size_t)count * sizeof *rows) : out;
    if (!rows)
        return fail(e, EXIT_USAGE, "out of memory for the output of '%s'", n->name);
    bool ok = convention_apply_at(s->first, s->second, n, args, NULL, count / channels, rows, e);
    if (ok && nchw)
        ref64_transpose((int)to->dim[0], area, channels, rows, out);
    if (nchw)
        free(rows);
    return ok;
}

bool convention_apply(const struct convention *first, const struct convention *second,
                      const struct node *n, const struct ref64_op_args *args, double *out,
                      struct error *e)
{
    const struct slip s = {first, second};
    if (convention_by_pixel(n))
        return apply_windowed(&s, n, args, out, e);
    if (NORMS >> n->op & 1)
        return slip_norm(&s, n, args, out, e);
    slip_rows(&s, n, args, out);
    return true;
}
