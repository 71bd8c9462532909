#include "verify/port/op_file.h"

#include "datasets/h5.h"
#include "datasets/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct tensor_file *file;
    const char *path;
    struct op_file *to;
    struct error *e;
};

/* --- tensors ------------------------------------------------------------------------- */

static int find(struct reader *r, const char *name)
{
    static const char *const before[] = {"", "in.", "param.", "float32."};
    char text[TENSOR_NAME_SIZE];
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        snprintf(text, sizeof text, "%s%s", before[i], name);
        if (tensors_find(r->file, text) >= 0)
            return tensors_find(r->file, text);
    }
    return -1;
}

static bool shape_from(struct reader *r, int tensor, struct shape *s)
{
    const struct tensor_info *t = tensors_info(r->file, tensor);
    if (t->rank < 1 || t->rank > MAX_RANK || t->count < 1 || t->count > (int64_t)1 << 31)
        return fail(r->e, EXIT_BAD_FILE, "%s: %s has %d dimensions and %lld values; expected 1 to "
                    "%d dimensions and at most 2^31 values", r->path, t->name, t->rank,
                    (long long)t->count, MAX_RANK);
    s->rank = t->rank;
    memcpy(s->dim, t->dim, (size_t)t->rank * sizeof *s->dim);
    return true;
}

/* [N,a,b,c] to [N,c,a,b], or back. */
static struct shape permuted_shape(struct shape s, bool to_nhwc)
{
    return to_nhwc ? shape_of(4, s.dim[0], s.dim[2], s.dim[3], s.dim[1])
                   : shape_of(4, s.dim[0], s.dim[3], s.dim[1], s.dim[2]);
}

/* The tensor's values in the op's order; the caller frees. */
static double *read_values(struct reader *r, int tensor, bool permute)
{
    const struct tensor_info *t = tensors_info(r->file, tensor);
    const bool to_nhwc = r->to->node->op == OP_dcnv3;
    double *v = malloc((size_t)t->count * sizeof *v), *other = NULL;
    if (!v)
        fail(r->e, EXIT_USAGE, "out of memory for %s", t->name);
    if (!v || !tensors_read_f64(r->file, tensor, 0, t->count, v, r->e)) {
        free(v);
        return NULL;
    }
    if (!permute || t->rank != 4)
        return v;
    other = malloc((size_t)t->count * sizeof *v);
    if (!other)
        fail(r->e, EXIT_USAGE, "out of memory for %s", t->name);
    else if (to_nhwc)
        ref64_transpose((int)t->dim[0], t->dim[1], t->dim[2] * t->dim[3], v, other);
    else
        ref64_transpose((int)t->dim[0], t->dim[1] * t->dim[2], t->dim[3], v, other);
    free(v);
    return other;
}

/* --- attributes ---------------------------------------------------------------------- */

static bool bad_attr(struct reader *r, const char *name)
{
    return fail(r->e, EXIT_USAGE, "%s must be one number or two (vertical, horizontal): \"3\" or "
                "\"3,5\"", name);
}

/* Two values from a text; one stands for both. */
static bool parse(struct reader *r, const char *name, const char *text, double *y, double *x)
{
    char *end;
    *y = *x = strtod(text, &end);
    if (end != text && (*end == ',' || *end == 'x')) {
        const char *second = end + 1;
        *x = strtod(second, &end);
        if (end == second)
            return bad_attr(r, name);
    }
    return (end != text && !*end) || bad_attr(r, name);
}

/* From a tensor of one or two values, or HDF5 attributes. *seen says whether. */
static bool from_file(struct reader *r, const char *name, double *y, double *x, bool *seen)
{
    char single[2][64];
    double *to[] = {y, x};
    struct h5_file *h5 = tensors_h5(r->file);
    int tensor = tensors_find(r->file, name);
    *seen = tensor >= 0 || (h5 && h5_has_attr(h5, "", name));
    if (tensor >= 0) {
        const struct tensor_info *t = tensors_info(r->file, tensor);
        if (t->count < 1 || t->count > 2)
            return bad_attr(r, name);
        return tensors_read_f64(r->file, tensor, 0, 1, y, r->e)
            && tensors_read_f64(r->file, tensor, t->count - 1, 1, x, r->e);
    }
    if (*seen) {
        bool ok = h5_attr_double(h5, "", name, y, r->e);
        *x = *y;
        return ok;
    }
    for (int i = 0; i < 2; i++) {
        snprintf(single[i], sizeof single[i], "%s_%c", name, i ? 'w' : 'h');
        tensor = tensors_find(r->file, single[i]);
        bool attr = tensor < 0 && h5 && h5_has_attr(h5, "", single[i]);
        if (tensor >= 0 && !tensors_read_f64(r->file, tensor, 0, 1, to[i], r->e))
            return false;
        if (attr && !h5_attr_double(h5, "", single[i], to[i], r->e))
            return false;
        *seen = *seen || tensor >= 0 || attr;
    }
    return true;
}

static bool attr_pair(struct reader *r, const char *name, const char *option, int *y, int *x)
{
    double a = *y, b = *x;
    bool seen = option != NULL;
    if (option ? !parse(r, name, option, &a, &b) : !from_file(r, name, &a, &b, &seen))
        return false;
    if (!(a >= 0 && b >= 0 && a < 1 << 24 && b < 1 << 24))
        return fail(r->e, EXIT_USAGE, "%s is %g,%g", name, a, b);
    *y = (int)a;
    *x = (int)b;
    return true;
}

static bool attr_one(struct reader *r, const char *name, const char *option, double *value)
{
    double other = *value;
    bool seen;
    return option ? parse(r, name, option, value, &other)
                  : from_file(r, name, value, &other, &seen);
}

static bool attr_int(struct reader *r, const char *name, const char *option, int *value)
{
    int other = *value;
    return attr_pair(r, name, option, value, &other);
}

/* What DCNv2's weight and DCNv3's mask say about the window and the groups. */
static void deduce(struct reader *r, enum op_kind op, struct attr *a, const struct shape *in)
{
    struct shape w, m;
    const int weight = find(r, "weight"), offset = find(r, "offset");
    if ((op == OP_dcnv2 || op == OP_conv2d || op == OP_dwconv2d || op == OP_linear) && weight >= 0
        && shape_from(r, weight, &w)) {
        a->out_channels = (int)w.dim[0];
        if (w.rank == 4) {
            const int64_t channels = in->dim[op == OP_dcnv2 && !r->to->permuted ? 1 : 3];
            a->y.kernel = (int)w.dim[2];
            a->x.kernel = (int)w.dim[3];
            a->groups = w.dim[1] > 0 && channels % w.dim[1] == 0 ? (int)(channels / w.dim[1]) : 1;
        }
    }
    if (op == OP_dcnv2 && offset >= 0 && shape_from(r, offset, &m) && m.rank == 4)
        a->offset_groups = (int)(m.dim[r->to->permuted ? 3 : 1] / (2 * a->y.kernel * a->x.kernel));
    a->bias = find(r, "bias") >= 0;
}

static bool read_attr(struct reader *r, const struct op_options *o, enum op_kind op,
                      const struct shape *in, struct attr *a)
{
    double remove_center = 0, bias;
    deduce(r, op, a, in);
    bias = a->bias;
    bool ok = attr_pair(r, "kernel", o->kernel, &a->y.kernel, &a->x.kernel)
           && attr_pair(r, "stride", o->stride, &a->y.stride, &a->x.stride)
           && attr_pair(r, "pad", o->pad, &a->y.pad, &a->x.pad)
           && attr_pair(r, "dilation", o->dilation, &a->y.dilation, &a->x.dilation)
           && attr_int(r, "groups", o->groups, &a->groups)
           && attr_int(r, "offset_groups", o->offset_groups, &a->offset_groups)
           && attr_int(r, "points", o->points, &a->points)
           && attr_int(r, "factor", o->factor, &a->factor)
           && attr_int(r, "heads", o->heads, &a->heads)
           && attr_one(r, "offset_scale", o->offset_scale, &a->offset_scale)
           && attr_one(r, "remove_center", o->remove_center, &remove_center)
           && attr_one(r, "eps", o->eps, &a->eps);
    a->remove_center = remove_center != 0;
    a->bias = bias != 0;
    return ok;
}

/* A square window from DCNv3's number of points, where none was given. */
static void square_window(struct attr *a, const struct shape *mask)
{
    int k = 1;
    if (a->y.kernel != 1 || a->x.kernel != 1 || a->groups < 1)
        return;
    const int64_t points = mask->dim[3] / a->groups + a->remove_center;
    while ((int64_t)k * k < points)
        k++;
    if ((int64_t)k * k == points)
        a->y.kernel = a->x.kernel = k;
}

/* --- the graph ------------------------------------------------------------------------- */

static enum op_kind op_of(struct reader *r, const struct op_options *o)
{
    enum op_kind op;
    char name[64];
    struct h5_file *h5 = tensors_h5(r->file);
    if (o->op)
        op = op_find(o->op);
    else if (h5 && h5_has_attr(h5, "", "op"))
        op = h5_attr_string(h5, "", "op", name, sizeof name, r->e) ? op_find(name) : OP_COUNT;
    else
        op = find(r, "offset") < 0 ? OP_COUNT : find(r, "weight") >= 0 ? OP_dcnv2 : OP_dcnv3;
    if (op == OP_COUNT || op == OP_input || op == OP_constant) {
        if (o->op)
            fail(r->e, EXIT_USAGE, "no op is called '%s'; see docs/formats.md", o->op);
        else
            fail(r->e, EXIT_USAGE, "%s: there is no tensor called 'offset': of which op is it? give "
                 "--op; for a whole model give GOLDEN first", r->path);
        return OP_COUNT;
    }
    return op;
}

/* DCNv3 written as NCHW, or DCNv2 as NHWC: then offsets and mask have their channels, 2:1,
 * on the other side, and not on the right one. */
static bool is_permuted(struct reader *r, enum op_kind op)
{
    struct shape o, m;
    const int offset = find(r, "offset"), mask = find(r, "mask");
    if ((op != OP_dcnv3 && op != OP_dcnv2) || offset < 0 || mask < 0 || !shape_from(r, offset, &o)
        || !shape_from(r, mask, &m) || o.rank != 4 || m.rank != 4)
        return false;
    const int right = op == OP_dcnv3 ? 3 : 1, other = 4 - right;
    return o.dim[other] == 2 * m.dim[other] && o.dim[right] != 2 * m.dim[right];
}

static bool build(struct reader *r, const struct op_options *o)
{
    const enum op_kind op = op_of(r, o);
    struct op_file *to = r->to;
    struct attr a = attr_default();
    struct node *in[MAX_INPUTS] = {0};
    struct shape shape[MAX_INPUTS];
    int count = 0;
    if (op == OP_COUNT)
        return false;
    const struct ref64_op *row = ref64_op_row(op);
    to->permuted = is_permuted(r, op);
    to->graph = graph_new();
    for (; to->graph && count < MAX_INPUTS && row->inputs[count]; count++) {
        int tensor = find(r, row->inputs[count]);
        if (tensor < 0 && count && row->optional_inputs)
            break;
        if (tensor < 0)
            return fail(r->e, EXIT_BAD_FILE, "%s: %s needs a tensor called '%s'", r->path,
                        row->name, row->inputs[count]);
        if (!shape_from(r, tensor, &shape[count]))
            return false;
        if (to->permuted && shape[count].rank == 4)
            shape[count] = permuted_shape(shape[count], op == OP_dcnv3);
        in[count] = graph_input(to->graph, row->inputs[count], shape[count]);
    }
    if (!to->graph || !read_attr(r, o, op, &shape[0], &a))
        return false;
    if (op == OP_dcnv3 && count == 3 && shape[2].rank == 4)
        square_window(&a, &shape[2]);
    to->node = graph_add(to->graph, op, "op", a, in, count);
    if (to->node)
        return true;
    return fail(r->e, EXIT_BAD_FILE, "%s: %s (are --kernel --stride --pad --dilation --groups "
                "right?)", r->path, to->graph->error.text);
}

static bool check_count(struct reader *r, int tensor, const char *name, const struct shape *want)
{
    char text[64];
    if (tensor < 0)
        return fail(r->e, EXIT_BAD_FILE, "%s: there is no tensor called '%s'", r->path, name);
    const struct tensor_info *t = tensors_info(r->file, tensor);
    if (t->count == shape_count(want))
        return true;
    return fail(r->e, EXIT_BAD_FILE, "%s: %s has %lld values, expected %s", r->path, name,
                (long long)t->count, shape_text(want, text, sizeof text));
}

static bool fill(struct reader *r)
{
    struct op_file *to = r->to;
    for (int i = 0; i < to->graph->nodes; i++) {
        const struct node *n = to->graph->node[i];
        double *v = n->op == OP_input ? read_values(r, find(r, n->name), to->permuted) : NULL;
        if (n->op == OP_input && !v)
            return false;
        for (int64_t k = 0; v && k < shape_count(&n->shape); k++) {
            to->r64->value[i][k] = v[k];
            to->r32->value[i][k] = (float)v[k];
        }
        free(v);
    }
    for (int i = 0; i < to->graph->params; i++) {
        const struct param *p = &to->graph->param[i];
        const char *name = p->key + strlen("op.");
        int tensor = find(r, name);
        double *v = check_count(r, tensor, name, &p->shape) ? read_values(r, tensor, false) : NULL;
        if (!v)
            return false;
        for (int64_t k = 0; k < shape_count(&p->shape); k++) {
            to->r64->param[i][k] = v[k];
            to->r32->param[i][k] = (float)v[k];
        }
        free(v);
    }
    int tensor = find(r, "output");
    if (!check_count(r, tensor, "output", &to->node->shape))
        return false;
    to->output = read_values(r, tensor, to->permuted);
    return to->output != NULL;
}

/* Parameters, inputs and the result rounded to the type, float32 inside. */
static void run_honest(struct op_file *f, enum number type)
{
    const struct graph *g = f->graph;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input)
            number_round(type, shape_count(&g->node[i]->shape), f->r32->value[i]);
    for (int i = 0; i < g->params; i++)
        number_round(type, shape_count(&g->param[i].shape), f->r32->param[i]);
    ref32_run_forward(f->r32, NULL, NULL);
    number_round(type, shape_count(&f->node->shape), f->r32->value[f->node->id]);
}

bool op_file_read(const char *path, const struct op_options *o, enum number type,
                  struct op_file *f, struct error *e)
{
    struct reader r = {.path = path, .to = f, .e = e};
    *f = (struct op_file){0};
    r.file = tensors_open(path, e);
    bool ok = r.file && build(&r, o) && (f->r32 = ref32_run_new(f->graph, e)) != NULL
           && (f->r64 = ref64_run_new(f->graph, e)) != NULL && fill(&r);
    tensors_close(r.file);
    if (ok) {
        run_honest(f, type);
        ref64_run_forward(f->r64, NULL, NULL);
        return true;
    }
    fail(e, EXIT_USAGE, "%s: out of memory", path);
    op_file_free(f);
    return false;
}

void op_file_free(struct op_file *f)
{
    ref32_run_free(f->r32);
    ref64_run_free(f->r64);
    graph_free(f->graph);
    free(f->output);
    *f = (struct op_file){0};
}
