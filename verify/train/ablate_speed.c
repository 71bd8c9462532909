/* What a training step costs, in CPU time of one thread: other processes on the machine
 * change it little. */
#include "ablate.h"

#include "opt/trainer.h"
#include "ref/ref.h"
#include "ref/weights.h"

#include <stdlib.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Forward and backward on seeded numbers, the fastest of `repeats`. */
static double step_of(struct trainer *t, const struct graph *g, int repeats, struct error *e)
{
    struct ref32_run *r = trainer_run(t);
    const struct node *last = g->node[g->nodes - 1];
    double best = 0;
    for (int i = 0; i < g->params; i++)
        seeded_parameter(&g->param[i], 1, r->param[i]);
    seeded_uniform("image", 1, shape_count(&g->node[0]->shape), r->value[0]);
    float *d_output = malloc((size_t)shape_count(&last->shape) * sizeof *d_output);
    if (!d_output) {
        fail(e, EXIT_USAGE, "out of memory for a gradient");
        return 0;
    }
    seeded_uniform("grad_output", 1, shape_count(&last->shape), d_output);
    for (int i = 0; i <= repeats; i++) {        /* the first warms caches and is left out */
        const double start = cpu_seconds();
        trainer_forward(t);
        if (!trainer_backward(t, d_output, e)) {
            best = 0;
            break;
        }
        const double took = cpu_seconds() - start;
        best = i == 1 || (i > 1 && took < best) ? took : best;
    }
    free(d_output);
    return best;
}

double ablate_step_seconds(const struct internimage_config *c, int batch, int size,
                           struct error *e)
{
    struct graph *g = internimage_graph(c, batch, size, size, e);
    struct trainer *t = g ? trainer_new(g, (struct trainer_options){
        .threads = 1, .parameters_only = true}, e) : NULL;
    const double seconds = t ? step_of(t, g, 7, e) : 0;
    trainer_free(t);
    graph_free(g);
    return seconds;
}
