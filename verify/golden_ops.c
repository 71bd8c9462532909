/* The golden file of ops: every case is a graph of one node. */
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ops {
    struct h5_file *file;
    const char *path;
    const struct golden_options *options;
    struct findings *found;
    struct error *error;
    double condition;           /* of the case being run */
};

static bool optional_int(struct h5_file *f, const char *group, const char *name, int *value,
                         struct error *e)
{
    int64_t v;
    if (!h5_has_attr(f, group, name))
        return true;
    if (!h5_attr_int(f, group, name, &v, e))
        return false;
    if (v < 0 || v > 1 << 24)
        return fail(e, EXIT_BAD_FILE, "case '%s': attribute %s is %lld", group, name,
                    (long long)v);
    *value = (int)v;
    return true;
}

static bool optional_double(struct h5_file *f, const char *group, const char *name, double *value,
                            struct error *e)
{
    return !h5_has_attr(f, group, name) || h5_attr_double(f, group, name, value, e);
}

static bool read_attr(struct h5_file *f, const char *group, struct attr *a, struct error *e)
{
    int bias = a->bias, remove_center = 0;
    struct { const char *name; int *value; } ints[] = {
        {"kernel_h", &a->y.kernel}, {"kernel_w", &a->x.kernel}, {"stride_h", &a->y.stride},
        {"stride_w", &a->x.stride}, {"pad_h", &a->y.pad}, {"pad_w", &a->x.pad},
        {"dilation_h", &a->y.dilation}, {"dilation_w", &a->x.dilation}, {"groups", &a->groups},
        {"offset_groups", &a->offset_groups}, {"out_channels", &a->out_channels},
        {"points", &a->points}, {"factor", &a->factor}, {"heads", &a->heads}, {"bias", &bias},
        {"remove_center", &remove_center},
    };
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        if (!optional_int(f, group, ints[i].name, ints[i].value, e))
            return false;
    a->bias = bias;
    a->remove_center = remove_center;
    return optional_double(f, group, "offset_scale", &a->offset_scale, e)
        && optional_double(f, group, "eps", &a->eps, e);
}

/* Input node for tensor in/<name>; NULL when it is not there. */
static struct node *add_input(struct h5_file *f, struct graph *g, const char *group,
                              const char *name, struct error *e)
{
    struct h5_info info;
    if (!h5_describe(f, group, name, &info, e))
        return NULL;
    struct shape s = {.rank = info.rank};
    if (info.rank < 1 || info.rank > MAX_RANK) {
        fail(e, EXIT_BAD_FILE, "%s/%s has %d dimensions, expected 1 to %d", group, name, info.rank,
             MAX_RANK);
        return NULL;
    }
    memcpy(s.dim, info.dim, (size_t)info.rank * sizeof *s.dim);
    struct node *n = graph_input(g, name, s);
    if (!n)
        fail(e, EXIT_BAD_FILE, "%s: %s", group, g->error.text);
    return n;
}

static struct graph *build(struct h5_file *f, const char *name, struct error *e)
{
    char op[64], in[256];
    struct attr a = attr_default();
    if (!h5_attr_string(f, name, "op", op, sizeof op, e) || !read_attr(f, name, &a, e))
        return NULL;
    enum op_kind kind = op_find(op);
    if (kind == OP_COUNT || kind == OP_input) {
        fail(e, EXIT_BAD_FILE, "case '%s': no op is called '%s'", name, op);
        return NULL;
    }
    struct graph *g = graph_new();
    struct node *inputs[MAX_INPUTS] = {0};
    const struct ref64_op *row = ref64_op_row(kind);
    int count = 0;
    snprintf(in, sizeof in, "%s/in", name);
    for (; g && count < MAX_INPUTS && row->inputs[count]; count++) {
        if (count > 0 && row->optional_inputs && !h5_has(f, in, row->inputs[count]))
            break;
        if (!(inputs[count] = add_input(f, g, in, row->inputs[count], e))) {
            graph_free(g);
            return NULL;
        }
    }
    if (g && graph_add(g, kind, "op", a, inputs, count))
        return g;
    fail(e, EXIT_BAD_FILE, "case '%s': %s", name, g ? g->error.text : "out of memory");
    graph_free(g);
    return NULL;
}

/* "op.weight" is stored as "weight". */
static const char *short_key(const struct param *p)
{
    return p->key + strlen("op.");
}

static bool fill(struct h5_file *f, const char *name, struct pair *p, struct error *e)
{
    char group[256];
    struct h5_info info;
    const struct graph *g = p->graph;
    for (int i = 0; i < g->nodes - 1 + g->params; i++) {
        bool is_input = i < g->nodes - 1;
        const struct param *param = is_input ? NULL : &g->param[i - (g->nodes - 1)];
        const struct shape *shape = is_input ? &g->node[i]->shape : &param->shape;
        snprintf(group, sizeof group, "%s/%s", name, is_input ? "in" : "param");
        float *v = h5_read_f32(f, group, is_input ? g->node[i]->name : short_key(param), &info, e);
        if (!v)
            return false;
        bool ok = info.count == shape_count(shape)
               || fail(e, EXIT_BAD_FILE, "case '%s': %s has %lld values, expected %lld", name,
                       is_input ? g->node[i]->name : param->key, (long long)info.count,
                       (long long)shape_count(shape));
        if (ok && is_input)
            pair_set_value(p, g->node[i], v);
        else if (ok)
            pair_set_param(p, i - (g->nodes - 1), v);
        free(v);
        if (!ok)
            return false;
    }
    return true;
}

bool golden_case(struct h5_file *f, const char *name, struct pair *p, double *condition,
                 struct error *e)
{
    *condition = 1;
    *p = (struct pair){0};
    if (!optional_double(f, name, "condition", condition, e))
        return false;
    struct graph *g = build(f, name, e);
    if (!g || !pair_new(p, g, e))
        return false;
    if (fill(f, name, p, e))
        return true;
    pair_free(p);
    return false;
}

static bool compare(struct ops *o, const char *name, const char *tensor, struct subject s)
{
    char prefix[256];
    bool seen;
    snprintf(prefix, sizeof prefix, "%s/", name);
    s.unit = name;
    s.condition = o->condition;
    s.prefix = prefix;
    s.tensor = s.key = tensor;
    if (!golden_compare(o->file, &s, o->found, &seen, o->error))
        return false;
    o->found->missing += !seen;
    return true;
}

static bool gradients(struct ops *o, const char *name, struct pair *p, double terms)
{
    struct h5_info info;
    const struct graph *g = p->graph;
    const struct node *last = g->node[g->nodes - 1];
    float *d_output = h5_read_f32(o->file, name, "grad_output", &info, o->error);
    if (!d_output)
        return false;
    bool ok = (info.count == shape_count(&last->shape)
               || fail(o->error, EXIT_BAD_FILE, "case '%s': grad_output has %lld values", name,
                       (long long)info.count))
           && pair_backward(p, d_output, o->error)
           && golden_train(p, name, o->options->isa, d_output, o->found, o->error);
    free(d_output);
    struct subject s = {.direction = GRADIENT, .group = "grad",
                        .terms = 2 * terms + (double)shape_rows(&last->shape)};
    for (int i = 0; ok && i < g->nodes - 1; i++) {
        s.shape = g->node[i]->shape;
        s.v32 = p->r32->d_value[i];
        s.v64 = p->r64->d_value[i];
        ok = compare(o, name, g->node[i]->name, s);
    }
    for (int i = 0; ok && i < g->params; i++) {
        s.shape = g->param[i].shape;
        s.v32 = p->r32->d_param[i];
        s.v64 = p->r64->d_param[i];
        ok = g->param[i].buffer || compare(o, name, short_key(&g->param[i]), s);
    }
    return ok;
}

static bool run_case(struct ops *o, const char *name)
{
    struct pair p;
    if (!golden_case(o->file, name, &p, &o->condition, o->error))
        return false;
    const struct node *last = p.graph->node[p.graph->nodes - 1];
    double terms = ref64_op_row(last->op)->terms(last);
    pair_forward(&p, NULL, NULL);
    bool ok = compare(o, name, "output", (struct subject){
        .direction = FORWARD, .group = "", .shape = last->shape,
        .v32 = p.r32->value[last->id], .v64 = p.r64->value[last->id], .terms = terms,
    });
    ok = ok && golden_opt(&p, name, o->options->isa, o->found, o->error);
    if (ok && h5_has(o->file, name, "grad_output"))
        ok = gradients(o, name, &p, terms);
    pair_free(&p);
    return ok;
}

static bool visit(void *context, const char *name, bool is_group)
{
    struct ops *o = context;
    if (!is_group || (o->options->filter && !strstr(name, o->options->filter))
        || (o->options->only && strcmp(name, o->options->only)))
        return true;
    if (o->options->progress)
        o->options->progress(name, 0, 1);
    return run_case(o, name);
}

bool golden_ops(struct h5_file *f, const char *path, const struct golden_options *o,
                struct findings *found, struct error *e)
{
    struct ops ops = {.file = f, .path = path, .options = o, .found = found, .error = e};
    return h5_each(f, "", visit, &ops, e) && !e->text[0];
}
