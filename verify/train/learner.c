#include "learner.h"

#include "datasets/weights_file.h"
#include "ref/initial.h"
#include "ref/weights.h"

#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

static float **zeros(const struct graph *g, struct error *e)
{
    float **list = weights_new(g, e);
    for (int i = 0; list && i < g->params; i++)
        memset(list[i], 0, (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    return list;
}

/* oneDNN takes and returns large pieces of memory in every product; kept by the process, they
 * need not be cleared by the system each time: a tenth of a step. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

static bool make_run(struct learner *l, struct error *e)
{
    const struct train_options *o = l->options;
    if (o->engine == ENGINE_REF)
        return (l->run = ref32_run_new(l->graph, e)) != NULL;
    keep_memory();
    l->trainer = trainer_new(l->graph, (struct trainer_options){.threads = o->threads,
                                                                .parameters_only = true}, e);
    if (l->trainer)
        l->run = trainer_run(l->trainer);
    return l->trainer != NULL;
}

static bool make_state(struct learner *l, struct error *e)
{
    const struct graph *g = l->graph;
    l->m = zeros(g, e);
    l->v = zeros(g, e);
    l->d_logits = malloc((size_t)shape_count(&g->node[g->nodes - 1]->shape) * sizeof(float));
    if (!l->m || !l->v || !l->d_logits)
        return fail(e, EXIT_USAGE, "out of memory for the optimizer");
    initial_parameters(g, l->options->seed, l->run->param);
    if (!(l->options->ema > 0))
        return true;
    l->average = weights_new(g, e);
    for (int i = 0; l->average && i < g->params; i++)
        memcpy(l->average[i], l->run->param[i],
               (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    return l->average != NULL;
}

struct learner *learner_new(const struct internimage_config *c, const struct train_options *o,
                            struct error *e)
{
    struct learner *l = calloc(1, sizeof *l);
    if (!l) {
        fail(e, EXIT_USAGE, "out of memory for training");
        return NULL;
    }
    l->config = *c;
    l->config.training = true;
    l->options = o;
    l->graph = internimage_graph(&l->config, o->batch, c->image_size, c->image_size, e);
    if (l->graph && make_run(l, e) && make_state(l, e))
        return l;
    learner_free(l);
    return NULL;
}

void learner_free(struct learner *l)
{
    if (!l)
        return;
    weights_free(l->graph, l->m);
    weights_free(l->graph, l->v);
    weights_free(l->graph, l->average);
    if (l->trainer)
        trainer_free(l->trainer);
    else
        ref32_run_free(l->run);
    graph_free(l->graph);
    free(l->d_logits);
    free(l);
}

float *learner_input(struct learner *l)
{
    return l->run->value[0];
}

float *const *learner_weights(const struct learner *l)
{
    return l->average ? l->average : l->run->param;
}

/* Which branches are dropped depends on seed, step, block and sample, nothing else. */
static void draw_drop_paths(struct learner *l)
{
    const struct graph *g = l->graph;
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = g->node[i];
        if (n->op != OP_drop_path)
            continue;
        float *scale = l->run->value[n->in[1]->id];
        for (int64_t k = 0; k < n->shape.dim[0]; k++) {
            const uint64_t at = (uint64_t)(l->step * n->shape.dim[0] + k);
            const double u = (double)(seeded_hash(n->name, at, l->options->seed) >> 11) * 0x1p-53;
            scale[k] = u < n->attr.rate ? 0 : (float)(1 / (1 - n->attr.rate));
        }
    }
}

static int count_correct(const struct node *head, const float *logits, const int32_t *label)
{
    const int64_t classes = shape_last(&head->shape);
    int correct = 0;
    for (int64_t n = 0; n < head->shape.dim[0]; n++, logits += classes) {
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            best = logits[k] > logits[best] ? k : best;
        correct += best == label[n];
    }
    return correct;
}

/* The stored statistics of batch norm follow the batch's. */
static void update_buffers(struct learner *l)
{
    const double momentum = 0.1;        /* torch.nn.BatchNorm2d's default */
    for (int i = 0; i < l->graph->nodes; i++) {
        const struct node *n = l->graph->node[i];
        if (n->op == OP_batch_norm_train)
            ref32_batch_norm_update(shape_rows(&n->shape), (int)shape_last(&n->shape), momentum,
                                    l->run->value[n->in[0]->id], l->run->param[n->param[2]],
                                    l->run->param[n->param[3]]);
    }
}

/* The squares of each tensor are added up by one thread and the tensors in order, so that
 * the norm does not depend on the number of threads. */
static double gradient_norm(const struct learner *l, int threads)
{
    const struct graph *g = l->graph;
    double sum = 0, squares[g->params];
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < g->params; i++)
        squares[i] = g->param[i].buffer ? 0 : ref32_sum_of_squares(shape_count(&g->param[i].shape),
                                                                   l->run->d_param[i]);
    for (int i = 0; i < g->params; i++)
        sum += squares[i];
    return sqrt(sum);
}

static void update_tensor(struct learner *l, int i, double lr, double factor)
{
    const struct param *p = &l->graph->param[i];
    const int64_t count = shape_count(&p->shape);
    const struct adamw o = {.lr = lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                            .weight_decay = p->shape.rank > 1 ? l->options->weight_decay : 0};
    const double decay = ema_decay(l->options->ema, l->step);
    if (l->trainer && !p->buffer)
        trainer_adamw(l->trainer, &o, l->step + 1, i, factor, l->m[i], l->v[i]);
    if (l->trainer && l->average)
        trainer_average(l->trainer, i, decay, l->average[i]);
    if (l->trainer)
        return;
    if (!p->buffer)
        ref32_adamw_step(&o, l->step + 1, factor, count, l->run->d_param[i], l->m[i], l->v[i],
                         l->run->param[i]);
    if (l->average)
        ref32_ema_update(count, decay, l->run->param[i], l->average[i]);
}

bool learner_step(struct learner *l, const int32_t *label, double lr, double *loss, int *correct,
                  struct error *e)
{
    const struct node *head = l->graph->node[l->graph->nodes - 1];
    const struct train_options *o = l->options;
    const int threads = o->threads > 0 ? o->threads : omp_get_max_threads();
    draw_drop_paths(l);
    if (l->trainer)
        trainer_forward(l->trainer);
    else
        ref32_run_forward(l->run, NULL, NULL);
    *loss = ref32_cross_entropy(o->batch, l->config.num_classes, o->label_smoothing,
                                l->run->value[head->id], label, l->d_logits);
    *correct = count_correct(head, l->run->value[head->id], label);
    if (!isfinite(*loss))
        return fail(e, EXIT_MISMATCH, "the loss of step %lld is %g: lower the learning rate",
                    (long long)l->step, *loss);
    if (!(l->trainer ? trainer_backward(l->trainer, l->d_logits, e)
                     : ref32_run_backward(l->run, l->d_logits, e)))
        return false;
    update_buffers(l);
    l->gradient_norm = gradient_norm(l, threads);
    const double factor = o->clip > 0 ? ref32_clip_factor(l->gradient_norm, o->clip) : 1;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < l->graph->params; i++)
        update_tensor(l, i, lr, factor);
    l->step++;
    return true;
}
