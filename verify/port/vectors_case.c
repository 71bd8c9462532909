#include "vectors_case.h"

#include "datasets/config_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool elements_close(const struct vector_check *c, const double *x)
{
    for (int64_t i = 0; i < c->count; i++) {
        const double t = c->expected[i];
        const bool same = x[i] == t || (isnan(x[i]) && isnan(t));
        if (!same && !(fabs(x[i] - t) <= c->rule.atol + c->rule.rtol * fabs(t)))
            return false;
    }
    return true;
}

bool vector_check(const struct vector_check *c, const double *x)
{
    if (c->rule.elementwise)
        return elements_close(c, x);
    const struct metrics m = measure64(c->count, x, c->expected, NULL, NULL);
    return m.bad == 0 && m.rel_rms <= c->rule.limit;
}

/* --- reading a case ------------------------------------------------------------------------ */

struct reader {
    struct h5_file *file;
    const char *path;
    struct vector_rule rule;    /* of the whole file, if elementwise */
    vector_visit *visit;
    void *context;
    struct error *error;
};

static void drop(struct vector_case *c)
{
    for (int i = 0; i < c->checks; i++)
        free(c->check[i].expected);
    for (int i = 0; i < c->gradients; i++)
        free(c->gradient[i].expected);
    free(c->check);
    free(c->d_output);
    pair_free(&c->pair);
}

static const char *short_name(const char *name)
{
    return strncmp(name, "dcn.", 4) ? name : name + 4;
}

/* float64/<key>, or float32/<key>; NULL when there is neither, or with *e filled. */
static double *read_expected(struct reader *r, const char *prefix, const char *key, int64_t count)
{
    static const char *const precision[] = {"float64", "float32"};
    struct h5_info info;
    for (int i = 0; i < 2; i++) {
        char group[300];
        snprintf(group, sizeof group, "%s%s", prefix, precision[i]);
        if (!h5_has(r->file, group, key))
            continue;
        double *v = h5_read_f64(r->file, group, key, &info, r->error);
        if (!v || info.count == count)
            return v;
        fail(r->error, EXIT_BAD_FILE, "%s/%s has %lld values, expected %lld", group, key,
             (long long)info.count, (long long)count);
        free(v);
        return NULL;
    }
    return NULL;
}

/* The rule is the file's, or the stored envelope, or what float32 costs the reference. */
static bool read_rule(struct reader *r, const char *prefix, const char *key, double ref32_error,
                      struct vector_rule *rule)
{
    struct h5_info info;
    char group[300];
    *rule = r->rule;
    rule->limit = ENVELOPE_K * envelope_of(ref32_error, 1);
    snprintf(group, sizeof group, "%senvelope", prefix);
    if (!h5_has(r->file, group, key))
        return true;
    double *stored = h5_read_f64(r->file, group, key, &info, r->error);
    if (stored)
        rule->limit = ENVELOPE_K * stored[0];
    free(stored);
    return stored != NULL;
}

static bool read_check(struct reader *r, struct vector_check *k, int *count, const char *prefix,
                       const char *key, int node, const struct shape *s, double ref32_error)
{
    *k = (struct vector_check){.node = node, .count = shape_count(s)};
    k->expected = read_expected(r, prefix, key, k->count);
    if (!k->expected)
        return r->error->text[0] == 0;
    (*count)++;
    return read_rule(r, prefix, key, ref32_error, &k->rule);
}

static bool read_gradients(struct reader *r, struct vector_case *c, const char *prefix)
{
    const struct graph *g = c->pair.graph;
    const struct node *n = g->node[g->nodes - 1];
    struct h5_info info;
    if ((n->op != OP_dcnv2 && n->op != OP_dcnv3) || !h5_has(r->file, c->name, "grad_output"))
        return true;
    float *d_output = h5_read_f32(r->file, c->name, "grad_output", &info, r->error);
    bool ok = d_output && (info.count == shape_count(&n->shape)
        || fail(r->error, EXIT_BAD_FILE, "%s: grad_output has %lld values", c->name,
                (long long)info.count));
    c->d_output = ok ? malloc((size_t)info.count * sizeof *c->d_output) : NULL;
    ok = ok && (c->d_output || fail(r->error, EXIT_USAGE, "out of memory for %s", c->name))
      && pair_backward(&c->pair, d_output, r->error);
    for (int64_t i = 0; ok && i < info.count; i++)
        c->d_output[i] = d_output[i];
    free(d_output);
    for (int i = 0; ok && i < n->inputs + n->params; i++) {
        const int k = i - n->inputs, at = k < 0 ? n->in[i]->id : n->param[k];
        const struct shape *s = k < 0 ? &n->in[i]->shape : &g->param[at].shape;
        char key[64];
        snprintf(key, sizeof key, "grad/%.50s", k < 0 ? n->in[i]->name : g->param[at].key + 3);
        const struct metrics m = k < 0
            ? measure32(shape_count(s), c->pair.r32->d_value[at], c->pair.r64->d_value[at], NULL,
                        NULL)
            : measure32(shape_count(s), c->pair.r32->d_param[at], c->pair.r64->d_param[at], NULL,
                        NULL);
        ok = read_check(r, &c->gradient[c->gradients], &c->gradients, prefix, key, i, s, m.rel_rms);
    }
    return ok;
}

static bool finish(struct reader *r, struct vector_case *c, const char *prefix)
{
    const struct graph *g = c->pair.graph;
    const bool single = !c->is_model && !c->is_module;
    bool ok = true;
    pair_forward(&c->pair, NULL, NULL);
    c->check = calloc((size_t)g->nodes, sizeof *c->check);
    if (!c->check)
        ok = fail(r->error, EXIT_USAGE, "out of memory");
    for (int i = 0; ok && i < g->nodes; i++)
        if (g->node[i]->op != OP_input) {
            const struct shape *s = &g->node[i]->shape;
            const struct metrics m = measure32(shape_count(s), c->pair.r32->value[i],
                                               c->pair.r64->value[i], NULL, NULL);
            ok = read_check(r, &c->check[c->checks], &c->checks, prefix,
                            single ? "output" : short_name(g->node[i]->name), i, s, m.rel_rms);
        }
    ok = ok && (!single || read_gradients(r, c, prefix));
    ok = ok && r->visit(r->context, c, r->error);
    drop(c);
    return ok;
}

/* Inputs and parameters of a layer or model. */
static bool read_values(struct reader *r, struct pair *p, const char *inputs, const char *params)
{
    const struct graph *g = p->graph;
    for (int i = -1; i < g->params; i++) {
        const int64_t count = shape_count(i < 0 ? &g->node[0]->shape : &g->param[i].shape);
        struct h5_info info;
        float *v = h5_read_f32(r->file, i < 0 ? inputs : params,
                               i < 0 ? g->node[0]->name : short_name(g->param[i].key), &info,
                               r->error);
        const bool ok = v && (info.count == count
            || fail(r->error, EXIT_BAD_FILE, "%s: a tensor has %lld values, expected %lld",
                    i < 0 ? g->node[0]->name : g->param[i].key, (long long)info.count,
                    (long long)count));
        if (ok && i < 0)
            pair_set_value(p, g->node[0], v);
        else if (ok)
            pair_set_param(p, i, v);
        free(v);
        if (!ok)
            return false;
    }
    return true;
}

static bool read_small(struct reader *r, const char *name, const char *attr, int *out)
{
    int64_t value;
    if (!h5_attr_int(r->file, name, attr, &value, r->error))
        return false;
    *out = (int)value;
    return (value >= 0 && value < 4096)
        || fail(r->error, EXIT_BAD_FILE, "%s: attribute %s is %lld", name, attr, (long long)value);
}

static bool read_module(struct reader *r, const char *name, struct suite_module *m)
{
    struct h5_info info;
    char in[200];
    int remove_center, center_feature_scale;
    struct internimage_config *c = &m->config;
    *m = (struct suite_module){.name = name};
    snprintf(in, sizeof in, "%s/in", name);
    if (!h5_describe(r->file, in, "input", &info, r->error))
        return false;
    if (info.rank != 4 || info.dim[0] > 64 || info.dim[1] > 512 || info.dim[2] > 512
        || info.dim[3] > 4096)
        return fail(r->error, EXIT_BAD_FILE, "%s: the input must be [N,H,W,C], at most "
                    "64x512x512x4096", name);
    m->batch = (int)info.dim[0];
    m->height = (int)info.dim[1];
    m->width = (int)info.dim[2];
    m->channels = (int)info.dim[3];
    if (!read_small(r, name, "groups", &m->groups)
        || !read_small(r, name, "kernel_size", &c->kernel_size)
        || !read_small(r, name, "dw_kernel_size", &c->dw_kernel_size)
        || !read_small(r, name, "remove_center", &remove_center)
        || !read_small(r, name, "center_feature_scale", &center_feature_scale)
        || !h5_attr_double(r->file, name, "offset_scale", &c->offset_scale, r->error))
        return false;
    c->remove_center = remove_center;
    c->center_feature_scale = center_feature_scale;
    return true;
}

static bool visit_module(struct reader *r, const char *name)
{
    struct suite_module m;
    struct vector_case c = {.name = name, .is_module = true};
    char in[200], param[200], prefix[200];
    snprintf(in, sizeof in, "%s/in", name);
    snprintf(param, sizeof param, "%s/param", name);
    snprintf(prefix, sizeof prefix, "%s/", name);
    if (!read_module(r, name, &m))
        return false;
    struct graph *g = suite_module_graph(&m, r->error);
    if (!g || !pair_new(&c.pair, g, r->error))
        return false;
    if (read_values(r, &c.pair, in, param))
        return finish(r, &c, prefix);
    drop(&c);
    return false;
}

static bool visit_model(struct reader *r)
{
    struct vector_case c = {.name = r->path, .is_model = true};
    struct h5_info info;
    if (!config_read(r->file, r->path, &c.config, r->error)
        || !h5_describe(r->file, "", "input", &info, r->error))
        return false;
    if (info.rank != 4 || info.dim[0] > 64 || info.dim[2] > 512 || info.dim[3] > 512)
        return fail(r->error, EXIT_BAD_FILE,
                    "%s: the input must be [N,3,H,W], at most 64x3x512x512",
                    r->path);
    struct graph *g = internimage_graph(&c.config, (int)info.dim[0], (int)info.dim[2],
                                        (int)info.dim[3], r->error);
    if (!g)
        return false;
    if (!h5_has(r->file, "params", g->param[0].key)) {
        graph_free(g);
        return true;
    }
    if (!pair_new(&c.pair, g, r->error))
        return false;
    if (read_values(r, &c.pair, "", "params"))
        return finish(r, &c, "");
    drop(&c);
    return false;
}

static bool visit_op(struct reader *r, const char *name)
{
    struct vector_case c = {.name = name};
    double condition;
    char prefix[200];
    snprintf(prefix, sizeof prefix, "%s/", name);
    return golden_case(r->file, name, &c.pair, &condition, r->error) && finish(r, &c, prefix);
}

static bool visit(void *context, const char *name, bool is_group)
{
    struct reader *r = context;
    char op[64];
    if (!is_group || !h5_has_attr(r->file, name, "op"))
        return true;
    if (!h5_attr_string(r->file, name, "op", op, sizeof op, r->error))
        return false;
    return strcmp(op, "dcnv3_module") ? visit_op(r, name) : visit_module(r, name);
}

bool vector_cases(const char *path, vector_visit *each, void *context, struct error *e)
{
    char kind[32];
    struct reader r = {.path = path, .visit = each, .context = context, .error = e};
    r.file = h5_open(path, e);
    bool ok = r.file && h5_attr_string(r.file, "", "kind", kind, sizeof kind, e);
    if (ok && h5_has_attr(r.file, "", "rtol")) {
        r.rule.elementwise = true;
        ok = h5_attr_double(r.file, "", "rtol", &r.rule.rtol, e)
          && h5_attr_double(r.file, "", "atol", &r.rule.atol, e);
    }
    if (ok)
        ok = strcmp(kind, "model") ? h5_each(r.file, "", visit, &r, e) && !e->text[0]
                                   : visit_model(&r);
    h5_close(r.file, NULL);
    error_in(e, path);
    return ok;
}
