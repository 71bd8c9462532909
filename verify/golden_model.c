/* A model's golden file: every activation and every gradient it holds. */
#include "golden.h"

#include <stdlib.h>
#include <string.h>

struct model {
    struct h5_file *file;
    const char *path;
    char name[64];
    const struct golden_options *options;
    struct pair pair;
    struct findings *found;
};

static bool take_param(void *context, int index, const float *values)
{
    struct model *m = context;
    pair_set_param(&m->pair, index, values);
    return true;
}

static bool wanted(const struct model *m, const char *tensor)
{
    const char *filter = m->options->filter;
    return !filter || strstr(m->name, filter) || strstr(tensor, filter);
}

static bool compare_node(struct model *m, const struct node *n, const char *key, double terms,
                         struct error *e)
{
    bool seen = true;
    struct subject s = {
        .unit = m->name, .tensor = key, .direction = FORWARD, .prefix = "", .group = "",
        .key = key, .shape = n->shape, .v32 = m->pair.r32->value[n->id],
        .v64 = m->pair.r64->value[n->id], .terms = terms, .chained = true,
    };
    if (wanted(m, key) && !golden_compare(m->file, &s, m->found, &seen, e))
        return false;
    m->found->missing += !seen;
    return true;
}

static bool compare_activations(struct model *m, struct error *e)
{
    const struct graph *g = m->pair.graph;
    double terms = 0;           /* of everything computed so far */
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = g->node[i];
        terms += ref64_op_row(n->op)->terms(n);
        if (n->op == OP_input || n->op == OP_to_nhwc)
            continue;           /* a copy of the input: PyTorch has no such module */
        if (!compare_node(m, n, n->name, terms, e))
            return false;
    }
    return compare_node(m, g->node[g->nodes - 1], "output", terms, e);
}

static bool compare_gradient(struct model *m, const char *key, struct shape shape, const float *v32,
                             const double *v64, double scale, struct error *e)
{
    bool seen = true;
    const struct graph *g = m->pair.graph;
    struct subject s = {
        .unit = m->name, .tensor = key, .direction = GRADIENT, .prefix = "", .group = "grad",
        .key = key, .shape = shape, .v32 = v32, .v64 = v64, .scale = scale,
        .chained = true,
    };
    for (int i = 0; i < g->nodes; i++)      /* forth and back through everything */
        s.terms += 2 * ref64_op_row(g->node[i]->op)->terms(g->node[i]);
    if (wanted(m, key) && !golden_compare(m->file, &s, m->found, &seen, e))
        return false;
    m->found->missing += !seen;
    return true;
}

static bool compare_gradients(struct model *m, struct error *e)
{
    const struct graph *g = m->pair.graph;
    struct h5_info info;
    float *d_output = h5_read_f32(m->file, "", "grad_output", &info, e);
    if (!d_output)
        return false;
    bool ok = info.count == shape_count(&g->node[g->nodes - 1]->shape)
           || fail(e, EXIT_BAD_FILE, "%s: grad_output has %lld values, the output %lld", m->path,
                   (long long)info.count, (long long)shape_count(&g->node[g->nodes - 1]->shape));
    ok = ok && pair_backward(&m->pair, d_output, e);
    ok = ok && ((m->options->filter && !strstr(m->name, m->options->filter))
                || golden_train(&m->pair, m->name, m->options->isa, d_output, m->found, e));
    free(d_output);
    for (int i = 0; ok && i < g->nodes; i++) {
        const struct node *n = g->node[i];
        double scale = sibling_scale(&m->pair, n);
        for (int k = 0; ok && k < n->params; k++) {
            const struct param *p = &g->param[n->param[k]];
            ok = p->buffer || compare_gradient(m, p->key, p->shape,
                                               m->pair.r32->d_param[n->param[k]],
                                               m->pair.r64->d_param[n->param[k]], scale, e);
        }
        if (ok && n->op == OP_input)
            ok = compare_gradient(m, n->name, n->shape, m->pair.r32->d_value[i],
                                  m->pair.r64->d_value[i], 0, e);
    }
    return ok;
}

static void report_progress(void *context, int done, int total)
{
    const struct model *m = context;
    if (m->options->progress)
        m->options->progress(m->name, done, total);
}

/* Counts what the file holds and the graph does not know. */
static bool count_extra(void *context, const char *key)
{
    struct model *m = context;
    if (strncmp(key, "grad.", 5) && strcmp(key, "output") && !graph_find(m->pair.graph, key))
        m->found->extra++;
    return true;
}

static bool run(struct model *m, struct error *e)
{
    struct h5_info info;
    float *input = h5_read_f32(m->file, "", "input", &info, e);
    if (!input)
        return false;
    pair_set_value(&m->pair, m->pair.graph->node[0], input);
    free(input);
    pair_forward(&m->pair, report_progress, m);
    if (!compare_activations(m, e))
        return false;
    if ((!m->options->filter || strstr(m->name, m->options->filter))
        && !golden_opt(&m->pair, m->name, m->options->isa, m->found, e))
        return false;
    if (h5_has(m->file, "", "grad_output") && !compare_gradients(m, e))
        return false;
    return h5_each_key(m->file, "float64", count_extra, m, e);
}

bool golden_model(struct h5_file *f, const char *path, const struct golden_options *o,
                  struct findings *found, struct error *e)
{
    struct model m = {.file = f, .path = path, .options = o, .found = found};
    if (o->only)
        return true;            /* one op case is asked for */
    struct internimage_config config;
    struct graph *g = golden_graph(f, path, m.name, sizeof m.name, &config, e);
    bool ok = g && pair_new(&m.pair, g, e) && golden_params(f, g, take_param, &m, e) && run(&m, e);
    pair_free(&m.pair);
    return ok;
}
