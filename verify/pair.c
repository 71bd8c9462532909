/* A graph run in float and in double side by side. */
#include "golden.h"

#include <pthread.h>
#include <stdlib.h>

bool pair_new(struct pair *p, struct graph *g, struct error *e)
{
    p->graph = g;
    p->r32 = ref32_run_new(g, e);
    p->r64 = p->r32 ? ref64_run_new(g, e) : NULL;
    if (p->r64)
        return true;
    pair_free(p);
    return false;
}

void pair_free(struct pair *p)
{
    ref32_run_free(p->r32);
    ref64_run_free(p->r64);
    graph_free(p->graph);
    *p = (struct pair){0};
}

static void set_both(float *to32, double *to64, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to32[i] = from[i];
        to64[i] = from[i];
    }
}

void pair_set_value(struct pair *p, const struct node *n, const float *from)
{
    set_both(p->r32->value[n->id], p->r64->value[n->id], from, shape_count(&n->shape));
}

void pair_set_param(struct pair *p, int index, const float *from)
{
    set_both(p->r32->param[index], p->r64->param[index], from,
             shape_count(&p->graph->param[index].shape));
}

static void *forward32(void *run)
{
    ref32_run_forward(run, NULL, NULL);
    return NULL;
}

void pair_forward(struct pair *p, void (*progress)(void *, int, int), void *context)
{
    pthread_t thread;
    bool parallel = pthread_create(&thread, NULL, forward32, p->r32) == 0;
    ref64_run_forward(p->r64, progress, context);
    if (parallel)
        pthread_join(thread, NULL);
    else
        forward32(p->r32);
}

struct backward32 {
    struct ref32_run *run;
    const float *d_output;
    struct error *e;
    bool ok;
};

static void *backward32(void *context)
{
    struct backward32 *b = context;
    b->ok = ref32_run_backward(b->run, b->d_output, b->e);
    return NULL;
}

bool pair_backward(struct pair *p, const float *d_output, struct error *e)
{
    const struct node *last = p->graph->node[p->graph->nodes - 1];
    int64_t count = shape_count(&last->shape);
    double *d64 = malloc((size_t)count * sizeof *d64);
    if (!d64)
        return fail(e, EXIT_USAGE, "out of memory for a gradient");
    for (int64_t i = 0; i < count; i++)
        d64[i] = d_output[i];
    struct error e32 = {0};
    struct backward32 b = {.run = p->r32, .d_output = d_output, .e = &e32};
    pthread_t thread;
    bool parallel = pthread_create(&thread, NULL, backward32, &b) == 0;
    bool ok = ref64_run_backward(p->r64, d64, e);
    if (parallel)
        pthread_join(thread, NULL);
    else
        backward32(&b);
    free(d64);
    return ok && (b.ok || fail(e, e32.code, "%s", e32.text));
}
