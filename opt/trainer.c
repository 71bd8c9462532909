#include "trainer_internal.h"

#include "onednn.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* NULL: the reference's own code. */
static const struct fast_op *fast_op_of(const struct node *n)
{
    static const struct fast_op *const table[OP_COUNT] = {
        [OP_linear] = &linear_fast, [OP_conv2d] = &conv2d_fast, [OP_dwconv2d] = &dwconv2d_fast,
        [OP_layer_norm] = &layer_norm_fast, [OP_gelu] = &gelu_fast, [OP_softmax] = &softmax_fast,
        [OP_add] = &add_fast, [OP_layer_scale] = &layer_scale_fast, [OP_dcnv2] = &dcnv2_fast,
        [OP_dcnv3] = &dcnv3_fast, [OP_drop_path] = &drop_path_fast,
        [OP_to_nhwc] = &to_nhwc_fast,
    };
    const struct fast_op *op = table[n->op];
    return op && (!op->fits || op->fits(n)) ? op : NULL;
}

/* A node's gradient is wanted when a parameter lies behind it, or everything is. */
static bool *find_wanted(const struct graph *g, bool parameters_only)
{
    bool *wanted = calloc((size_t)g->nodes + 1, sizeof *wanted);
    for (int i = 0; wanted && i < g->nodes; i++) {
        const struct node *n = g->node[i];
        wanted[i] = !parameters_only || n->params > 0;
        for (int k = 0; k < n->inputs; k++)
            wanted[i] = wanted[i] || wanted[n->in[k]->id];
    }
    return wanted;
}

struct trainer *trainer_new(const struct graph *g, struct trainer_options o, struct error *e)
{
    const struct kernels *kernels = kernels_select(o.isa, e);
    size_t most = 0;
    if (!onednn_version()) {
        fail(e, EXIT_NOT_BUILT, "training needs oneDNN, which this build does not have");
        return NULL;
    }
    struct trainer *t = kernels ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    *t = (struct trainer){.graph = g, .kernels = kernels,
                          .threads = o.threads > 0 ? o.threads : omp_get_max_threads()};
    t->narrow = kernels->lanes == 16 && kernels_at(1) ? kernels_at(1) : kernels;
    t->wanted = find_wanted(g, o.parameters_only);
    t->zeroed = calloc((size_t)g->nodes + 1, sizeof *t->zeroed);
    for (int i = 0; i < g->nodes; i++) {
        const struct fast_op *op = fast_op_of(g->node[i]);
        const size_t size = op && op->scratch ? op->scratch(t, g->node[i]) : 0;
        most = size > most ? size : most;
    }
    t->run = ref32_run_new(g, e);
    t->scratch = aligned_alloc(64, (most + 64 + 15) / 16 * 16 * sizeof *t->scratch);
    if (t->run && t->scratch && t->wanted && t->zeroed)
        return t;
    fail(e, EXIT_USAGE, "out of memory for training");
    trainer_free(t);
    return NULL;
}

void trainer_free(struct trainer *t)
{
    if (!t)
        return;
    ref32_run_free(t->run);
    free(t->scratch);
    free(t->wanted);
    free(t->zeroed);
    free(t);
}

struct ref32_run *trainer_run(struct trainer *t)
{
    return t->run;
}

void trainer_forward(struct trainer *t)
{
    const int before = omp_get_max_threads();
    omp_set_num_threads(t->threads);
    for (int i = 0; i < t->graph->nodes; i++) {
        const struct node *n = t->graph->node[i];
        const struct fast_op *op = fast_op_of(n);
        struct ref32_op_args a = ref32_run_args(t->run, n);
        if (op)
            op->forward(t, n, &a, t->run->value[i]);
        else if (n->op != OP_input)
            ref32_op_row(n->op)->forward(n, &a, t->run->value[i]);
    }
    omp_set_num_threads(before);
}

/* Gradients of values are set to zero just before they are first added to, while there is
 * room for them in the cache. */
static void zero_value(struct trainer *t, const struct node *n)
{
    if (!t->zeroed[n->id])
        SHARED(t, shape_count(&n->shape),
               memset(t->run->d_value[n->id] + part.first, 0,
                      (size_t)(part.last - part.first) * sizeof(float)));
    t->zeroed[n->id] = true;
}

static bool zero_gradients(struct trainer *t, struct error *e)
{
    const struct graph *g = t->graph;
    if (!t->run->d_value || !t->run->d_param)
        return ref32_run_zero_gradients(t->run, e);
    memset(t->zeroed, 0, (size_t)g->nodes * sizeof *t->zeroed);
    for (int i = 0; i < g->params; i++)
        memset(t->run->d_param[i], 0, (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    return true;
}

static void node_backward(struct trainer *t, const struct node *n)
{
    const struct fast_op *op = fast_op_of(n);
    struct ref32_op_args a = ref32_run_args(t->run, n);
    for (int k = 0; k < n->inputs; k++) {
        if (!t->wanted[n->in[k]->id] && (!op || op->skips))
            a.d_in[k] = NULL;
        else
            zero_value(t, n->in[k]);
    }
    if (op)
        op->backward(t, n, &a, t->run->d_value[n->id]);
    else if (n->op != OP_input)
        ref32_op_row(n->op)->backward(n, &a, t->run->d_value[n->id]);
}

bool trainer_backward_from(struct trainer *t, const struct node *from, const float *d_value,
                           struct error *e)
{
    const int before = omp_get_max_threads();
    if (!zero_gradients(t, e))
        return false;
    omp_set_num_threads(t->threads);
    memcpy(t->run->d_value[from->id], d_value, (size_t)shape_count(&from->shape) * sizeof(float));
    t->zeroed[from->id] = true;
    for (int i = t->graph->nodes - 1; i >= 0; i--) {
        if (!t->wanted[i])
            continue;
        zero_value(t, t->graph->node[i]);       /* nobody added to it: it is zero */
        if (i <= from->id)
            node_backward(t, t->graph->node[i]);
    }
    omp_set_num_threads(before);
    return true;
}

void trainer_adamw(struct trainer *t, const struct adamw *o, int64_t step, int index, double clip,
                   float *m, float *v)
{
    const double root = sqrt(1 - pow(o->beta2, (double)step));
    const struct adamw_factors f = {
        .keep = (float)(1 - o->lr * o->weight_decay), .b1 = (float)o->beta1, .b2 = (float)o->beta2,
        .in1 = (float)(1 - o->beta1), .in2 = (float)(1 - o->beta2), .eps = (float)(o->eps * root),
        .size = (float)(o->lr * root / (1 - pow(o->beta1, (double)step))), .clip = (float)clip,
    };
    t->kernels->adamw(shape_count(&t->graph->param[index].shape), &f, t->run->d_param[index], m, v,
                      t->run->param[index]);
}

void trainer_average(struct trainer *t, int index, double decay, float *average)
{
    t->kernels->blend(shape_count(&t->graph->param[index].shape), (float)decay,
                      t->run->param[index], average);
}

bool trainer_backward(struct trainer *t, const float *d_output, struct error *e)
{
    return trainer_backward_from(t, t->graph->node[t->graph->nodes - 1], d_output, e);
}
