/* The trainer against the double reference: every value and every gradient. */
#include "golden.h"

#include "opt/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double sibling_scale(const struct pair *p, const struct node *n)
{
    /* The bias of the attention's keys has a gradient of zero by symmetry; what one gets
     * is rounding noise of sums as large as its siblings'. */
    double most = 0;
    for (int i = 0; i < n->params; i++) {
        const struct param *param = &p->graph->param[n->param[i]];
        double rms = root_mean_square(shape_count(&param->shape), p->r64->d_param[n->param[i]]);
        if (!param->buffer && rms > most)
            most = rms;
    }
    return 0.1 * most;
}

/* A bias' gradient sums the output's over all rows; where the terms cancel, its error still
 * is that of their size: of what as many terms of random sign would add up to. */
static double bias_scale(const struct pair *p, const struct node *n, const struct param *param)
{
    if (param->shape.rank != 1 || (n->op != OP_linear && n->op != OP_conv2d && n->op != OP_dwconv2d))
        return 0;
    return sqrt((double)shape_rows(&n->shape))
         * root_mean_square(shape_count(&n->shape), p->r64->d_value[n->id]);
}

struct judged {
    const char *unit, *tensor;
    enum direction direction;
    struct shape shape;
    const float *mine, *v32;
    const double *v64;
    double scale, loss;                 /* loss: ref32's, at least */
};

static bool judge(const struct judged *j, struct findings *found, struct error *e)
{
    const int64_t count = shape_count(&j->shape);
    const double rms = root_mean_square(count, j->v64), scale = j->scale > rms ? j->scale : rms;
    struct finding f = {.direction = j->direction, .chained = true, .condition = 1,
                        .has_opt = true};
    snprintf(f.unit, sizeof f.unit, "%s", j->unit);
    snprintf(f.tensor, sizeof f.tensor, "%s", j->tensor);
    f.ref32 = measure32(count, j->v32, j->v64, NULL, NULL);
    f.opt = measure32(count, j->mine, j->v64, NULL, NULL);
    relative_to(&f.ref32, scale);
    relative_to(&f.opt, scale);
    if (j->loss > f.ref32.rel_rms)
        f.ref32.rel_rms = j->loss;
    f.ref32_limit = 1;                  /* judged on the lines that have PyTorch's numbers */
    return findings_add(found, &f, e);
}

static struct judged param_gradient(const struct pair *p, const struct ref32_run *r,
                                    const struct node *n, int k)
{
    const int at = n->param[k];
    const struct param *param = &p->graph->param[at];
    return (struct judged){
        .tensor = param->key, .direction = GRADIENT, .shape = param->shape,
        .mine = r->d_param[at], .v32 = p->r32->d_param[at], .v64 = p->r64->d_param[at],
        .scale = fmax(sibling_scale(p, n), bias_scale(p, n, param)),
    };
}

/* A node's parameters see the same chain of gradients. A bias of few values may by luck
 * lose little in ref32; the loss that others are held to is the worst of the node. */
static bool judge_params(const struct pair *p, const struct ref32_run *r, const char *unit,
                         const struct node *n, struct findings *found, struct error *e)
{
    double loss = 0;
    bool ok = true;
    for (int k = 0; k < n->params; k++) {
        const struct judged j = param_gradient(p, r, n, k);
        struct metrics m = measure32(shape_count(&j.shape), j.v32, j.v64, NULL, NULL);
        relative_to(&m, fmax(j.scale, root_mean_square(shape_count(&j.shape), j.v64)));
        loss = p->graph->param[n->param[k]].buffer ? loss : fmax(loss, m.rel_rms);
    }
    for (int k = 0; ok && k < n->params; k++) {
        struct judged j = param_gradient(p, r, n, k);
        j.unit = unit;
        j.loss = loss;
        ok = p->graph->param[n->param[k]].buffer || judge(&j, found, e);
    }
    return ok;
}

static bool judge_all(const struct pair *p, const struct ref32_run *r, const char *unit,
                      struct findings *found, struct error *e)
{
    const struct graph *g = p->graph;
    bool ok = true;
    for (int i = 0; ok && i < g->nodes; i++) {
        const struct node *n = g->node[i];
        const bool input = n->op == OP_input;
        const struct judged j = {
            .unit = unit, .tensor = n->name, .direction = input ? GRADIENT : FORWARD,
            .shape = n->shape, .mine = input ? r->d_value[i] : r->value[i],
            .v32 = input ? p->r32->d_value[i] : p->r32->value[i],
            .v64 = input ? p->r64->d_value[i] : p->r64->value[i],
        };
        ok = judge(&j, found, e) && judge_params(p, r, unit, n, found, e);
    }
    return ok;
}

static bool train_once(const struct pair *p, const char *unit, const char *isa,
                       const float *d_output, struct findings *found, struct error *e)
{
    const struct graph *g = p->graph;
    struct trainer *t = trainer_new(g, (struct trainer_options){.isa = isa}, e);
    if (!t)
        return false;
    struct ref32_run *r = trainer_run(t);
    for (int i = 0; i < g->params; i++)
        memcpy(r->param[i], p->r32->param[i],
               (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input)
            memcpy(r->value[i], p->r32->value[i],
                   (size_t)shape_count(&g->node[i]->shape) * sizeof(float));
    trainer_forward(t);
    bool ok = trainer_backward(t, d_output, e) && judge_all(p, r, unit, found, e);
    trainer_free(t);
    return ok;
}

bool golden_train(const struct pair *p, const char *name, const char *isa, const float *d_output,
                  struct findings *found, struct error *e)
{
    for (int i = 0; i < KERNEL_TABLES; i++) {
        char unit[160];
        struct error why = {0};
        if (isa && strcmp(isa, kernel_names[i]))
            continue;
        snprintf(unit, sizeof unit, "%s/train-%s", name, kernel_names[i]);
        if (kernels_at(i) && train_once(p, unit, kernel_names[i], d_output, found, &why))
            continue;
        if (kernels_at(i) && why.code != EXIT_NOT_BUILT)
            return fail(e, why.code, "%s", why.text);
        found->skipped++;
    }
    return true;
}
