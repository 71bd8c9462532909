#include "lanes.h"
#include "parallel.h"

#include "ref/ref.h"

#include <stdlib.h>
#include <string.h>

bool lanes_new(struct lanes *l, const struct graph *g, float *const *param, const float *image,
               enum number type, bool own, bool wide, struct error *e)
{
    const size_t nodes = (size_t)g->nodes;
    *l = (struct lanes){.graph = g, .type = type, .param = param, .image = image};
    l->last_use = calloc(nodes, sizeof *l->last_use);
    l->run32 = calloc(nodes, sizeof *l->run32);
    l->run64 = wide ? calloc(nodes, sizeof *l->run64) : NULL;
    l->own32 = own ? calloc(nodes, sizeof *l->own32) : NULL;
    l->own64 = own && wide ? calloc(nodes, sizeof *l->own64) : NULL;
    if (!l->last_use || !l->run32 || (wide && !l->run64) || (own && !l->own32)
        || (own && wide && !l->own64)) {
        lanes_free(l);
        return fail(e, EXIT_USAGE, "out of memory for %d layers", g->nodes);
    }
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i]->inputs; k++)
            l->last_use[g->node[i]->in[k]->id] = i;
    return true;
}

static void free_values(void *list, int count)
{
    void **value = list;
    for (int i = 0; value && i < count; i++)
        free(value[i]);
    free(value);
}

void lanes_free(struct lanes *l)
{
    const int nodes = l->graph ? l->graph->nodes : 0;
    free_values(l->run64, nodes);
    free_values(l->run32, nodes);
    free_values(l->own64, nodes);
    free_values(l->own32, nodes);
    free(l->last_use);
    *l = (struct lanes){0};
}

/* --- one node ---------------------------------------------------------------------- */

/* The parameters of one node in both precisions; rounded for the honest port. */
struct node_params {
    double *wide[MAX_PARAMS];
    float *narrow[MAX_PARAMS];
};

static void params_free(struct node_params *p)
{
    for (int i = 0; i < MAX_PARAMS; i++) {
        free(p->wide[i]);
        free(p->narrow[i]);
    }
}

static bool params_of(const struct lanes *l, const struct node *n, struct node_params *p)
{
    *p = (struct node_params){0};
    for (int k = 0; k < n->params; k++) {
        const int64_t count = shape_count(&l->graph->param[n->param[k]].shape);
        const float *from = l->param[n->param[k]];
        p->narrow[k] = malloc((size_t)count * sizeof(float));
        p->wide[k] = l->run64 ? malloc((size_t)count * sizeof(double)) : NULL;
        if (!p->narrow[k] || (l->run64 && !p->wide[k]))
            return false;
        memcpy(p->narrow[k], from, (size_t)count * sizeof(float));
        number_round(l->type, count, p->narrow[k]);
        for (int64_t i = 0; p->wide[k] && i < count; i++)
            p->wide[k][i] = from[i];
    }
    return true;
}

/* One node in one lane. */
struct step {
    const struct lanes *lanes;
    const struct node *node;
    const struct node_params *params;
    double **wide;              /* one of the two */
    float **narrow;
};

static void step64(void *context)
{
    const struct step *s = context;
    const struct node *n = s->node;
    struct ref64_op_args a = {0};
    double *out = s->wide[n->id];
    for (int i = 0; i < n->inputs; i++)
        a.in[i] = s->wide[n->in[i]->id];
    for (int i = 0; i < n->params; i++)
        a.param[i] = s->params->wide[i];
    for (int64_t i = 0; n->op == OP_input && i < shape_count(&n->shape); i++)
        out[i] = s->lanes->image[i];
    ref64_op_row(n->op)->forward(n, &a, out);
}

static void step32(void *context)
{
    const struct step *s = context;
    const struct node *n = s->node;
    const int64_t count = shape_count(&n->shape);
    struct ref32_op_args a = {0};
    float *out = s->narrow[n->id];
    for (int i = 0; i < n->inputs; i++)
        a.in[i] = s->narrow[n->in[i]->id];
    for (int i = 0; i < n->params; i++)
        a.param[i] = s->params->narrow[i];
    if (n->op == OP_input)
        memcpy(out, s->lanes->image, (size_t)count * sizeof(float));
    ref32_op_row(n->op)->forward(n, &a, out);
    number_round(s->lanes->type, count, out);
}

static bool allocate(const struct lanes *l, const struct node *n)
{
    const size_t count = (size_t)shape_count(&n->shape);
    double **wide[] = {l->run64, l->own64};
    float **narrow[] = {l->run32, l->own32};
    for (int i = 0; i < 2; i++) {
        if (wide[i] && !(wide[i][n->id] = malloc(count * sizeof(double))))
            return false;
        if (narrow[i] && !(narrow[i][n->id] = malloc(count * sizeof(float))))
            return false;
    }
    return true;
}

static void run_steps(const struct lanes *l, const struct node *n, const struct node_params *p)
{
    struct step step[4];
    struct task task[4];
    int count = 0;
    double **wide[] = {l->run64, l->own64, NULL, NULL};
    float **narrow[] = {NULL, NULL, l->run32, l->own32};
    for (int i = 0; i < 4; i++) {
        if (!wide[i] && !narrow[i])
            continue;
        step[count] = (struct step){.lanes = l, .node = n, .params = p, .wide = wide[i],
                                    .narrow = narrow[i]};
        task[count] = (struct task){wide[i] ? step64 : step32, &step[count]};
        count++;
    }
    tasks_run(task, count);
}

bool lanes_step(struct lanes *l, const struct node *n, struct error *e)
{
    struct node_params p;
    bool ok = params_of(l, n, &p) && allocate(l, n);
    if (ok)
        run_steps(l, n, &p);
    params_free(&p);
    return ok || fail(e, EXIT_USAGE, "out of memory for %s", n->name);
}

void lanes_adopt(struct lanes *l, const struct node *n, const double *value)
{
    for (int64_t i = 0; i < shape_count(&n->shape); i++) {
        l->own64[n->id][i] = value[i];
        l->own32[n->id][i] = (float)value[i];
    }
    number_round(l->type, shape_count(&n->shape), l->own32[n->id]);
}

static void forget(const struct lanes *l, int id)
{
    void *list[] = {l->run64 ? l->run64[id] : NULL, l->own64 ? l->own64[id] : NULL,
                    l->run32 ? l->run32[id] : NULL, l->own32 ? l->own32[id] : NULL};
    for (int i = 0; i < 4; i++)
        free(list[i]);
    if (l->run64)
        l->run64[id] = NULL;
    if (l->own64)
        l->own64[id] = NULL;
    if (l->run32)
        l->run32[id] = NULL;
    if (l->own32)
        l->own32[id] = NULL;
}

void lanes_forget(struct lanes *l, const struct node *n)
{
    for (int i = 0; i < n->inputs; i++)
        if (l->last_use[n->in[i]->id] == n->id)
            forget(l, n->in[i]->id);
    if (l->last_use[n->id] == 0)        /* nobody takes it: the last node */
        forget(l, n->id);
}
