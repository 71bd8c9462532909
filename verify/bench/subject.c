#include "subject.h"

#include "opt/trainer.h"
#include "ref/ref.h"
#include "ref/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    struct subject_spec spec;
    int height, width;
    double flops;
    struct graph *graph;
    float **param, *input[MAX_INPUTS], *output, *d_output;
    struct plan *plan;
    struct trainer *trainer;
    struct ref32_run *run;              /* the trainer's, or the definition's own */
    const char *isa;
};

const char *work_name(enum work w)
{
    static const char *const name[] = {"forward", "train", "backward", "ref", "ref-backward"};
    return name[w];
}

static bool seeded_params(struct subject *s)
{
    const struct graph *g = s->graph;
    s->param = calloc((size_t)g->params + 1, sizeof *s->param);
    for (int i = 0; s->param && i < g->params; i++) {
        s->param[i] = malloc((size_t)shape_count(&g->param[i].shape) * sizeof(float));
        if (!s->param[i])
            return false;
        seeded_parameter(&g->param[i], 1, s->param[i]);
    }
    return s->param != NULL;
}

/* Offsets within +-2 pixels, everything else within +-1. */
static bool seeded_inputs(struct subject *s)
{
    int count = 0;
    for (int i = 0; i < s->graph->nodes; i++) {
        const struct node *n = s->graph->node[i];
        const int64_t values = shape_count(&n->shape);
        if (n->op != OP_input)
            continue;
        float *v = s->input[count++] = malloc((size_t)values * sizeof *v);
        if (!v)
            return false;
        seeded_uniform(n->name, 1, values, v);
        for (int64_t k = 0; !strcmp(n->name, "offset") && k < values; k++)
            v[k] *= 2;
    }
    return true;
}

static void fill_run(struct subject *s)
{
    const struct graph *g = s->graph;
    int count = 0;
    for (int i = 0; i < g->params; i++)
        memcpy(s->run->param[i], s->param[i],
               (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input)
            memcpy(s->run->value[i], s->input[count++],
                   (size_t)shape_count(&g->node[i]->shape) * sizeof(float));
}

static bool prepare_plan(struct subject *s, struct error *e)
{
    s->plan = plan_new(s->graph, s->param, (struct plan_options){
        .isa = s->spec.isa, .threads = s->spec.threads, .gemm = s->spec.gemm}, e);
    s->isa = s->plan ? plan_isa(s->plan) : NULL;
    return s->plan != NULL;
}

static bool prepare_trainer(struct subject *s, struct error *e)
{
    const struct kernels *k = kernels_select(s->spec.isa, e);
    const struct trainer_options o = {.isa = s->spec.isa, .threads = s->spec.threads};
    s->trainer = k ? trainer_new(s->graph, o, e) : NULL;
    if (!s->trainer)
        return false;
    s->isa = k->isa;
    s->run = trainer_run(s->trainer);
    fill_run(s);
    if (s->spec.work == WORK_BACKWARD)
        trainer_forward(s->trainer);
    return true;
}

static bool prepare_ref(struct subject *s, struct error *e)
{
    s->isa = "scalar";
    if (!(s->run = ref32_run_new(s->graph, e)))
        return false;
    fill_run(s);
    if (s->spec.work == WORK_REF_BACKWARD)
        ref32_run_forward(s->run, NULL, NULL);
    return true;
}

static bool prepare(struct subject *s, struct error *e)
{
    const enum work w = s->spec.work;
    const struct graph *g = s->graph;
    const int64_t outputs = shape_count(&g->node[g->nodes - 1]->shape);
    s->output = malloc((size_t)outputs * sizeof *s->output);
    s->d_output = malloc((size_t)outputs * sizeof *s->d_output);
    if (!s->output || !s->d_output || !seeded_params(s) || !seeded_inputs(s))
        return fail(e, EXIT_USAGE, "out of memory for '%s'", s->spec.name);
    seeded_uniform("d_output", 1, outputs, s->d_output);
    s->flops *= w == WORK_TRAIN ? 3 : w == WORK_BACKWARD || w == WORK_REF_BACKWARD ? 2 : 1;
    return w == WORK_FORWARD ? prepare_plan(s, e)
         : w == WORK_REF || w == WORK_REF_BACKWARD ? prepare_ref(s, e) : prepare_trainer(s, e);
}

struct subject *subject_new(const struct subject_spec *spec, struct error *e)
{
    struct subject *s = calloc(1, sizeof *s);
    if (!s) {
        fail(e, EXIT_USAGE, "out of memory for '%s'", spec->name);
        return NULL;
    }
    s->spec = *spec;
    s->height = spec->height;
    s->width = spec->width;
    s->graph = subject_graph(spec->name, spec->batch, &s->height, &s->width, &s->flops, e);
    if (s->graph && prepare(s, e))
        return s;
    subject_free(s);
    return NULL;
}

void subject_free(struct subject *s)
{
    if (!s)
        return;
    plan_free(s->plan);
    if (s->trainer)
        trainer_free(s->trainer);
    else
        ref32_run_free(s->run);
    for (int i = 0; i < MAX_INPUTS; i++)
        free(s->input[i]);
    for (int i = 0; s->param && i < s->graph->params; i++)
        free(s->param[i]);
    free(s->param);
    free(s->output);
    free(s->d_output);
    graph_free(s->graph);
    free(s);
}

bool subject_run(struct subject *s, struct error *e)
{
    switch (s->spec.work) {
    case WORK_FORWARD:
        plan_run(s->plan, (const float *const *)s->input, s->output);
        return true;
    case WORK_TRAIN:
        trainer_forward(s->trainer);
        return trainer_backward(s->trainer, s->d_output, e);
    case WORK_BACKWARD:
        return trainer_backward(s->trainer, s->d_output, e);
    case WORK_REF:
        ref32_run_forward(s->run, NULL, NULL);
        return true;
    case WORK_REF_BACKWARD:
        return ref32_run_backward(s->run, s->d_output, e);
    }
    return false;
}

double subject_flops(const struct subject *s)
{
    return s->flops;
}

double subject_bytes(const struct subject *s)
{
    const struct graph *g = s->graph;
    double values = (double)shape_count(&g->node[g->nodes - 1]->shape);
    for (int i = 0; i < g->params; i++)
        values += (double)shape_count(&g->param[i].shape);
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input)
            values += (double)shape_count(&g->node[i]->shape);
    return values * (double)sizeof(float);
}

void subject_size(const struct subject *s, int *height, int *width)
{
    *height = s->height;
    *width = s->width;
}

const char *subject_isa(const struct subject *s)
{
    return s->isa;
}

const struct plan *subject_plan(const struct subject *s)
{
    return s->plan;
}

void subject_profile(struct subject *s, bool on)
{
    if (s->plan)
        plan_profile(s->plan, on);
}

void subject_label(const struct subject *s, char *to, size_t size)
{
    const char *name = s->spec.name;
    const int length = (int)(strncmp(name, "dcnv2 ", 6) ? strlen(name) : strcspn(name, "/"));
    snprintf(to, size, "%.*s/%dx%d/batch:%d/threads:%d/isa:%s%s%s", length, name, s->height,
             s->width, s->spec.batch, s->spec.threads, s->isa,
             s->spec.work == WORK_FORWARD ? "" : "/pass:",
             s->spec.work == WORK_FORWARD ? "" : work_name(s->spec.work));
}
