/* Wrong gradients of deformable convolutions. The catalogue (conventions.h) is about results
 * that `diagnose` can name; these serve only to score the backward half of a suite. */
#ifndef VERIFY_PORT_GRADIENT_SLIPS_H
#define VERIFY_PORT_GRADIENT_SLIPS_H

#include "ref/ref.h"

enum { GRADIENT_SLIPS = 13, GRADIENTS = 5 };

struct gradient_slip {
    const char *code, *title;
    bool dcnv2, dcnv3;          /* the ops that it can befall */
};
extern const struct gradient_slip gradient_slips[GRADIENT_SLIPS];

/* Gradients of one node: of its inputs, then of its parameters; NULL where there is none. */
struct node_gradients {
    double *d[GRADIENTS];
    int64_t count[GRADIENTS];
};
bool node_gradients_new(struct node_gradients *g, const struct node *n, const struct graph *graph,
                        struct error *e);
void node_gradients_free(struct node_gradients *g);

/* Gradients under slip `index` (-1: the right ones). *applies is false when the slip cannot
 * befall this node: no mask, a scale of 1, one image. */
bool gradient_slip_apply(int index, const struct node *n, const struct ref64_run *run,
                         const double *d_output, struct node_gradients *g, bool *applies,
                         struct error *e);

#endif
