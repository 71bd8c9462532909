#include "evaluate.h"
#include "loader.h"

#include "opt/plan.h"
#include "ref/ref.h"
#include "verify/bench/clock.h"
#include "verify/train/progress.h"

#include <stdlib.h>
#include <string.h>

/* A model ready to run: a plan, or the reference. */
struct model {
    struct graph *graph;
    struct plan *plan;
    struct ref32_run *run;
    float *input, *logits;
    int batch;
};

static void model_free(struct model *m)
{
    plan_free(m->plan);
    ref32_run_free(m->run);
    graph_free(m->graph);
    free(m->input);
    free(m->logits);
}

static bool model_new(struct model *m, const struct internimage_config *config,
                      float *const *weights, const struct image_set *images,
                      const struct evaluate_options *o, struct error *e)
{
    struct internimage_config c = *config;
    c.training = false;
    m->batch = o->batch ? o->batch : 50;
    m->graph = internimage_graph(&c, m->batch, o->size ? o->size : images->height,
                                 o->size ? o->size : images->width, e);
    if (!m->graph)
        return false;
    m->input = calloc((size_t)shape_count(&m->graph->node[0]->shape), sizeof *m->input);
    m->logits = malloc((size_t)m->batch * c.num_classes * sizeof *m->logits);
    if (o->engine == ENGINE_OPT)
        m->plan = plan_new(m->graph, weights, (struct plan_options){.threads = o->threads}, e);
    else
        m->run = ref32_run_new(m->graph, e);
    for (int i = 0; m->run && i < m->graph->params; i++)
        memcpy(m->run->param[i], weights[i],
               (size_t)shape_count(&m->graph->param[i].shape) * sizeof(float));
    return (m->input && m->logits && (m->plan || m->run)) || fail(e, EXIT_USAGE, "out of memory");
}

static void model_run(struct model *m)
{
    const float *input = m->input;
    const struct node *last = m->graph->node[m->graph->nodes - 1];
    if (m->plan) {
        plan_run(m->plan, &input, m->logits);
        return;
    }
    memcpy(m->run->value[0], input, (size_t)shape_count(&m->graph->node[0]->shape) * sizeof *input);
    ref32_run_forward(m->run, NULL, NULL);
    memcpy(m->logits, m->run->value[last->id], (size_t)shape_count(&last->shape) * sizeof *input);
}

/* The five largest, in order; of equal ones the first. */
static void best_five(const float *logits, int classes, int32_t best[5])
{
    for (int k = 0; k < 5; k++) {
        best[k] = -1;
        for (int i = 0; i < classes; i++) {
            bool taken = false;
            for (int b = 0; b < k; b++)
                taken = taken || best[b] == i;
            if (!taken && (best[k] < 0 || logits[i] > logits[best[k]]))
                best[k] = i;
        }
    }
}

static void judge(const float *logits, int classes, int32_t label, int32_t best[5],
                  struct evaluation *out)
{
    best_five(logits, classes, best);
    out->loss += ref32_cross_entropy(1, classes, 0, logits, &label, NULL);
    out->top1 += best[0] == label;
    for (int k = 0; k < 5; k++)
        out->top5 += best[k] == label;
    out->images++;
}

/* Rows beyond the end of the set keep what they had and are not looked at. */
static bool run_all(struct model *m, struct loader *loader, const struct evaluate_options *o,
                    int64_t count, int32_t (*predictions)[5], struct evaluation *out,
                    struct error *e)
{
    const int classes = (int)shape_last(&m->graph->node[m->graph->nodes - 1]->shape);
    struct progress p = progress_start("testing", count, o->progress);
    for (int64_t at = 0; at < count; at += m->batch) {
        const int some = (int)(count - at < m->batch ? count - at : m->batch);
        if (!loader_fill(loader, at, some, m->input, e))
            return false;
        const double start = bench_now();
        model_run(m);
        out->seconds += bench_now() - start;
        for (int i = 0; i < some; i++) {
            int32_t best[5];
            if (loader->label[i] >= classes)
                return fail(e, EXIT_BAD_FILE, "image %lld has label %d, the model %d classes",
                            (long long)at + i, loader->label[i], classes);
            judge(m->logits + (size_t)i * classes, classes, loader->label[i], best, out);
            if (predictions)
                memcpy(predictions[at + i], best, sizeof best);
        }
        progress_show(&p, at + some, "%.2f %% right", 100.0 * (double)out->top1
                                                          / (double)out->images);
    }
    progress_stop(&p);
    out->loss /= (double)count;
    return true;
}

bool evaluate(const struct internimage_config *c, float *const *weights,
              const struct image_set *images, const struct evaluate_options *o,
              int32_t (*predictions)[5], struct evaluation *out, struct error *e)
{
    struct model m = {0};
    struct loader loader = {0};
    const struct view view = {.size = o->size};
    const int64_t count = o->limit > 0 && o->limit < images->count ? o->limit : images->count;
    *out = (struct evaluation){0};
    const bool ok = model_new(&m, c, weights, images, o, e)
                 && loader_new(&loader, images, &view, m.batch, o->threads, e)
                 && run_all(&m, &loader, o, count, predictions, out, e);
    loader_free(&loader);
    model_free(&m);
    return ok;
}
