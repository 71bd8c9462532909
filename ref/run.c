/* Forward and backward over a graph, node by node in order. */
#include "row.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

static void free_all(real **list, int count)
{
    for (int i = 0; list && i < count; i++)
        free(list[i]);
    free(list);
}

void REF(run_free)(struct REF(run) *r)
{
    if (!r)
        return;
    free_all(r->value, r->graph->nodes);
    free_all(r->param, r->graph->params);
    free_all(r->d_value, r->graph->nodes);
    free_all(r->d_param, r->graph->params);
    free(r);
}

/* One zeroed array per node, or per parameter. NULL when memory is short. */
static real **new_values(const struct graph *g)
{
    real **list = calloc((size_t)g->nodes + 1, sizeof *list);
    for (int i = 0; list && i < g->nodes; i++)
        if (!(list[i] = calloc((size_t)shape_count(&g->node[i]->shape), sizeof(real)))) {
            free_all(list, g->nodes);
            return NULL;
        }
    return list;
}

static real **new_params(const struct graph *g)
{
    real **list = calloc((size_t)g->params + 1, sizeof *list);
    for (int i = 0; list && i < g->params; i++)
        if (!(list[i] = calloc((size_t)shape_count(&g->param[i].shape), sizeof(real)))) {
            free_all(list, g->params);
            return NULL;
        }
    return list;
}

struct REF(run) *REF(run_new)(const struct graph *g, struct error *e)
{
    struct REF(run) *r = calloc(1, sizeof *r);
    if (r) {
        r->graph = g;
        r->value = new_values(g);
        r->param = new_params(g);
    }
    if (r && r->value && r->param)
        return r;
    REF(run_free)(r);
    fail(e, EXIT_USAGE, "out of memory for %lld activations and %lld parameters",
         (long long)graph_activation_values(g), (long long)graph_parameters(g));
    return NULL;
}

struct REF(op_args) REF(run_args)(const struct REF(run) *r, const struct node *n)
{
    struct REF(op_args) a = {.out = r->value[n->id]};
    for (int i = 0; i < n->inputs; i++) {
        a.in[i] = r->value[n->in[i]->id];
        if (r->d_value)
            a.d_in[i] = r->d_value[n->in[i]->id];
    }
    for (int i = 0; i < n->params; i++) {
        a.param[i] = r->param[n->param[i]];
        if (r->d_param && !r->graph->param[n->param[i]].buffer)
            a.d_param[i] = r->d_param[n->param[i]];
    }
    return a;
}

void REF(run_forward)(struct REF(run) *r, void (*progress)(void *context, int done, int total),
                      void *context)
{
    for (int i = 0; i < r->graph->nodes; i++) {
        const struct node *n = r->graph->node[i];
        struct REF(op_args) a = REF(run_args)(r, n);
        if (n->op != OP_input)
            REF(op_row)(n->op)->forward(n, &a, r->value[i]);
        if (progress)
            progress(context, i + 1, r->graph->nodes);
    }
}

bool REF(run_zero_gradients)(struct REF(run) *r, struct error *e)
{
    const struct graph *g = r->graph;
    bool fresh = !r->d_value || !r->d_param;
    if (!r->d_value)
        r->d_value = new_values(g);
    if (!r->d_param)
        r->d_param = new_params(g);
    if (!r->d_value || !r->d_param)
        return fail(e, EXIT_USAGE, "out of memory for the gradients");
    for (int i = 0; !fresh && i < g->nodes; i++)
        memset(r->d_value[i], 0, (size_t)shape_count(&g->node[i]->shape) * sizeof(real));
    for (int i = 0; !fresh && i < g->params; i++)
        memset(r->d_param[i], 0, (size_t)shape_count(&g->param[i].shape) * sizeof(real));
    return true;
}

bool REF(run_backward)(struct REF(run) *r, const real *d_output, struct error *e)
{
    const struct graph *g = r->graph;
    const struct node *last = g->node[g->nodes - 1];
    if (!REF(run_zero_gradients)(r, e))
        return false;
    memcpy(r->d_value[last->id], d_output, (size_t)shape_count(&last->shape) * sizeof(real));
    for (int i = g->nodes - 1; i >= 0; i--) {
        const struct node *n = g->node[i];
        struct REF(op_args) a = REF(run_args)(r, n);
        if (n->op != OP_input)
            REF(op_row)(n->op)->backward(n, &a, r->d_value[i]);
    }
    return true;
}
