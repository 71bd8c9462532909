/* Training's half of the fast side: the graph run node by node, forward with every value
 * kept and backward. It fills the arrays of a float run of the reference, so whatever
 * reads one reads the other; ops that have no fast gradient run the reference's code. */
#ifndef OPT_TRAINER_H
#define OPT_TRAINER_H

#include "kernels.h"
#include "ref/ref.h"

struct trainer;

struct trainer_options {
    const char *isa;            /* NULL: the best there is, or INTERNIMAGE_ISA */
    int threads;                /* 0: as many as OpenMP would use */
    bool parameters_only;       /* gradients of values that no parameter lies behind are left
                                   out: the graph's inputs above all */
};

/* NULL after filling *e; with EXIT_NOT_BUILT when there is no oneDNN. */
struct trainer *trainer_new(const struct graph *g, struct trainer_options o, struct error *e);
void trainer_free(struct trainer *t);

/* Values, parameters and gradients: the caller fills input values and parameters. */
struct ref32_run *trainer_run(struct trainer *t);
void trainer_forward(struct trainer *t);
/* Gradients of sum(output * d_output), all of them, from zero. */
bool trainer_backward(struct trainer *t, const float *d_output, struct error *e);
/* The same from the value of node `n` instead of the last node's. */
bool trainer_backward_from(struct trainer *t, const struct node *n, const float *d_value,
                           struct error *e);

/* ref/training.h's adamw_step and ema_update for parameter `index`; its gradient counts
 * `clip` times. One thread each: parameters may be shared out. */
void trainer_adamw(struct trainer *t, const struct adamw *o, int64_t step, int index, double clip,
                   float *m, float *v);
void trainer_average(struct trainer *t, int index, double decay, float *average);

#endif
