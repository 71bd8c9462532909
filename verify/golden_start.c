/* What a model's golden file starts from: the graph and its parameters. */
#include "golden.h"

#include "datasets/config_file.h"
#include "ref/weights.h"

#include <stdlib.h>
#include <string.h>

/* What a graph may need; beyond this a file is nonsense or an attack. */
#define MOST_VALUES 8e9

struct graph *golden_graph(struct h5_file *f, const char *path, char *name, size_t size,
                           struct internimage_config *c, struct error *e)
{
    struct h5_info in;
    struct error why = {0};
    if (!h5_attr_string(f, "", "model", name, size, e) || !config_read(f, path, c, e)
        || !h5_describe(f, "", "input", &in, e))
        return NULL;
    if (in.rank != 4 || in.dim[1] != 3 || in.dim[0] > 4096 || in.dim[2] > 16384
        || in.dim[3] > 16384) {
        fail(e, EXIT_BAD_FILE, "%s: the input must be [N,3,H,W], at most 4096x3x16384x16384", path);
        return NULL;
    }
    struct graph *g = internimage_graph(c, (int)in.dim[0], (int)in.dim[2], (int)in.dim[3], &why);
    if (g && (double)graph_activation_values(g) + (double)graph_parameters(g) <= MOST_VALUES)
        return g;
    fail(e, EXIT_BAD_FILE, "%s: %s", path, g ? "the model is too large to run" : why.text);
    graph_free(g);
    return NULL;
}

bool golden_params(struct h5_file *f, const struct graph *g,
                   bool (*take)(void *context, int index, const float *values), void *context,
                   struct error *e)
{
    int64_t seed = 0;
    bool stored = g->params && h5_has(f, "params", g->param[0].key);
    if (!stored && !h5_attr_int(f, "", "seed", &seed, e))
        return false;
    for (int i = 0; i < g->params; i++) {
        const struct param *p = &g->param[i];
        float *values = malloc((size_t)shape_count(&p->shape) * sizeof *values);
        bool ok = values || fail(e, EXIT_USAGE, "out of memory for parameter %s", p->key);
        if (ok && stored)
            ok = param_read(f, "params", p, values, e);
        else if (ok)
            seeded_parameter(p, (uint64_t)seed, values);
        ok = ok && take(context, i, values);
        free(values);
        if (!ok)
            return false;
    }
    return true;
}

static bool take_param(void *context, int index, const float *values)
{
    struct golden_start *s = context;
    size_t bytes = (size_t)shape_count(&s->graph->param[index].shape) * sizeof(float);
    s->param[index] = malloc(bytes);
    if (s->param[index])
        memcpy(s->param[index], values, bytes);
    return s->param[index] != NULL;
}

static bool read_start(struct h5_file *f, const char *path, struct golden_start *s, struct error *e)
{
    char kind[32];
    struct h5_info info;
    if (!golden_kind(f, path, kind, sizeof kind, e))
        return false;
    if (strcmp(kind, "model"))
        return fail(e, EXIT_BAD_FILE, "%s: a golden of kind '%s', expected 'model'", path, kind);
    s->graph = golden_graph(f, path, s->model, sizeof s->model, &s->config, e);
    s->param = s->graph ? calloc((size_t)s->graph->params + 1, sizeof *s->param) : NULL;
    s->image = s->param ? h5_read_f32(f, "", "input", &info, e) : NULL;
    return s->image && golden_params(f, s->graph, take_param, s, e);
}

bool golden_start(const char *path, struct golden_start *s, struct error *e)
{
    *s = (struct golden_start){0};
    struct h5_file *f = h5_open(path, e);
    bool ok = f && (read_start(f, path, s, e) || fail(e, EXIT_USAGE, "out of memory"));
    h5_close(f, NULL);
    if (!ok)
        golden_start_free(s);
    error_in(e, path);
    return ok;
}

void golden_start_free(struct golden_start *s)
{
    for (int i = 0; s->param && i < s->graph->params; i++)
        free(s->param[i]);
    free(s->param);
    free(s->image);
    graph_free(s->graph);
    *s = (struct golden_start){0};
}
