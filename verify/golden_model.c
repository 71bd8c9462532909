/* A model's golden file: every activation and every gradient it holds. */
#include "golden.h"

#include "datasets/config_file.h"
#include "ref/weights.h"

#include <stdio.h>
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

/* What a graph may need; beyond this a file is nonsense or an attack. */
#define MOST_VALUES 8e9

static struct graph *build(struct model *m, struct error *e)
{
    struct internimage_config c;
    struct h5_info in;
    struct error why = {0};
    if (!h5_attr_string(m->file, "", "model", m->name, sizeof m->name, e)
        || !config_read(m->file, m->path, &c, e) || !h5_describe(m->file, "", "input", &in, e))
        return NULL;
    if (in.rank != 4 || in.dim[1] != 3 || in.dim[0] > 4096 || in.dim[2] > 16384
        || in.dim[3] > 16384) {
        fail(e, EXIT_BAD_FILE, "%s: the input must be [N,3,H,W], at most 4096x3x16384x16384",
             m->path);
        return NULL;
    }
    struct graph *g = internimage_graph(&c, (int)in.dim[0], (int)in.dim[2], (int)in.dim[3], &why);
    if (g && (double)graph_activation_values(g) + (double)graph_parameters(g) <= MOST_VALUES)
        return g;
    fail(e, EXIT_BAD_FILE, "%s: %s", m->path, g ? "the model is too large to run" : why.text);
    graph_free(g);
    return NULL;
}

/* From the file, or from the seeded generator. */
static bool set_params(struct model *m, struct error *e)
{
    int64_t seed = 0;
    bool stored = m->pair.graph->params
               && h5_has(m->file, "params", m->pair.graph->param[0].key);
    if (!stored && !h5_attr_int(m->file, "", "seed", &seed, e))
        return false;
    for (int i = 0; i < m->pair.graph->params; i++) {
        const struct param *p = &m->pair.graph->param[i];
        float *values = malloc((size_t)shape_count(&p->shape) * sizeof *values);
        bool ok = values || fail(e, EXIT_USAGE, "out of memory for parameter %s", p->key);
        if (ok && stored)
            ok = param_read(m->file, "params", p, values, e);
        else if (ok)
            seeded_parameter(p, (uint64_t)seed, values);
        if (ok)
            pair_set_param(&m->pair, i, values);
        free(values);
        if (!ok)
            return false;
    }
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
    struct graph *g = build(&m, e);
    bool ok = g && pair_new(&m.pair, g, e) && set_params(&m, e) && run(&m, e);
    pair_free(&m.pair);
    return ok;
}
