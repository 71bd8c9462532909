#include "verify/port/plant.h"

#include "verify/port/block_replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool plant_parse(const char *text, const struct graph *g, float *const *params, struct plant *p,
                 struct error *e)
{
    char code[16];
    const char *at = strchr(text, '@');
    snprintf(code, sizeof code, "%.*s", at ? (int)(at - text) : (int)strlen(text), text);
    *p = (struct plant){.graph = g, .params = params, .mistake = convention_find(code)};
    if (!p->mistake && strcasecmp(code, "nan"))
        return fail(e, EXIT_USAGE, "there is no mistake '%s'; `internimage explain` lists them",
                    code);
    if (p->mistake && p->mistake->aspect == NORM_PLACE)
        return !at || fail(e, EXIT_USAGE, "%s is made in every block: give no layer", code);
    p->node = at ? graph_find(g, at + 1) : NULL;
    if (!p->node)
        return fail(e, EXIT_USAGE, at ? "the model has no layer '%s'" : "give the layer as well: "
                    "%s@LAYER", at ? at + 1 : code);
    if (p->mistake && !convention_applies(p->mistake, p->node))
        return fail(e, EXIT_USAGE, "%s cannot befall %s, a %s", code, p->node->name,
                    ref64_op_row(p->node->op)->name);
    return true;
}

static double *widen(const float *from, int64_t count)
{
    double *to = malloc((size_t)count * sizeof *to);
    for (int64_t i = 0; to && i < count; i++)
        to[i] = from[i];
    return to;
}

/* The node's inputs and parameters as double, its output under the mistake as float. */
static bool make_mistake(const struct plant *p, const float *const *in, float *value,
                         struct error *e)
{
    const struct node *n = p->node;
    const int64_t count = shape_count(&n->shape);
    double *hold[MAX_INPUTS + MAX_PARAMS] = {0}, *out = malloc((size_t)count * sizeof *out);
    struct ref64_op_args a = {0};
    bool ok = out != NULL;
    for (int i = 0; i < n->inputs; i++) {
        a.in[i] = hold[i] = widen(in[i], shape_count(&n->in[i]->shape));
        ok = ok && hold[i];
    }
    for (int i = 0; i < n->params; i++) {
        const struct param *q = &p->graph->param[n->param[i]];
        a.param[i] = hold[MAX_INPUTS + i] = widen(p->params[n->param[i]], shape_count(&q->shape));
        ok = ok && a.param[i];
    }
    if (!ok)
        fail(e, EXIT_USAGE, "out of memory to plant a mistake in %s", n->name);
    ok = ok && convention_apply(p->mistake, NULL, n, &a, out, e);
    for (int64_t i = 0; ok && i < count; i++)
        value[i] = (float)out[i];
    for (int i = 0; i < MAX_INPUTS + MAX_PARAMS; i++)
        free(hold[i]);
    free(out);
    return ok;
}

void plant_apply(void *plant, const struct node *n, const float *const *in, float *value)
{
    struct plant *p = plant;
    if (n != p->node)
        return;
    if (p->mistake)
        make_mistake(p, in, value, &p->error);
    else
        value[shape_count(&n->shape) / 2] = NAN;
}

/* The wrong graph while it runs. A norm that the right model lacks (S has none behind a level)
 * is none of the port's either: it passes its input on. */
struct wrong_graph {
    const struct graph *graph;
    float **param;              /* the right model's; own[i]: zeros in place of one it lacks */
    bool *own;
};

static void pass_on(void *wrong, const struct node *n, const float *const *in, float *value)
{
    const struct wrong_graph *w = wrong;
    if (n->params && w->own[n->param[0]])
        memcpy(value, in[0], (size_t)shape_count(&n->shape) * sizeof *value);
}

static bool wrong_graph_new(struct wrong_graph *w, const struct graph *g, float *const *params,
                            struct error *e)
{
    const int count = w->graph->params;
    w->param = calloc((size_t)count + 1, sizeof *w->param);
    w->own = calloc((size_t)count + 1, sizeof *w->own);
    bool ok = w->param && w->own;
    for (int i = 0; ok && i < count; i++) {
        const struct param *p = &w->graph->param[i];
        const int index = graph_find_param(g, p->key);
        w->own[i] = index < 0;
        w->param[i] = index >= 0 ? params[index]
                                 : calloc((size_t)shape_count(&p->shape), sizeof **w->param);
        ok = w->param[i] != NULL;
    }
    return ok || fail(e, EXIT_USAGE, "out of memory for the wrong model");
}

static void wrong_graph_free(struct wrong_graph *w)
{
    for (int i = 0; w->param && w->own && i < w->graph->params; i++)
        if (w->own[i])
            free(w->param[i]);
    free(w->param);
    free(w->own);
}

/* The model built the wrong way, with the parameters of the right one. */
static bool dump_wrong_graph(const struct convention *mistake, const struct internimage_config *c,
                             const struct graph *g, float *const *params, const float *image,
                             const char *path, struct dump_options o, struct error *e)
{
    const struct shape *in = &g->node[0]->shape;
    struct internimage_config wrong;
    if (!block_mistake(mistake, c, &wrong))
        return fail(e, EXIT_USAGE, "%s cannot befall %s: %s", mistake->code, c->name,
                    mistake->title);
    struct graph *other = internimage_graph(&wrong, (int)in->dim[0], (int)in->dim[2],
                                            (int)in->dim[3], e);
    struct wrong_graph w = {.graph = other};
    if (!other)
        return false;
    o.plant = pass_on;
    o.context = &w;
    const bool ok = wrong_graph_new(&w, g, params, e)
                 && dump_write(other, w.param, image, path, o, e);
    wrong_graph_free(&w);
    graph_free(other);
    return ok;
}

bool plant_dump(const char *text, const struct internimage_config *c, const struct graph *g,
                float *const *params, const float *image, const char *path,
                struct dump_options o, struct error *e)
{
    struct plant p;
    if (!plant_parse(text, g, params, &p, e))
        return false;
    if (!p.node)
        return dump_wrong_graph(p.mistake, c, g, params, image, path, o, e);
    o.plant = plant_apply;
    o.context = &p;
    return dump_write(g, params, image, path, o, e)
        && (!p.error.text[0] || fail(e, p.error.code, "%s", p.error.text));
}
