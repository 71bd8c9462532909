/* The reference four times over, one node at a time: in double and as an honest port would
 * (ref32, rounded to the port's type), each from GOLDEN's image as run, and again from what
 * the port has. Values are freed after their last use, so a model needs the memory of its
 * widest place and not of all its layers. */
#ifndef VERIFY_PORT_LANES_H
#define VERIFY_PORT_LANES_H

#include "number.h"

#include "ref/graph.h"

struct lanes {
    const struct graph *graph;
    enum number type;
    float *const *param;        /* [graph->params], GOLDEN's */
    const float *image;
    double **run64, **own64;    /* [graph->nodes]: from the image; from the port's values */
    float **run32, **own32;
    int *last_use;              /* [graph->nodes]: the node that takes the value last */
};

/* `own` lanes only when asked for: without them it is a plain run (a dump). */
bool lanes_new(struct lanes *l, const struct graph *g, float *const *param, const float *image,
               enum number type, bool own, bool wide, struct error *e);
void lanes_free(struct lanes *l);

/* Computes node n in every lane. */
bool lanes_step(struct lanes *l, const struct node *n, struct error *e);
/* The port's value of n, after lanes_step(): what follows in the `own` lanes starts from it. */
void lanes_adopt(struct lanes *l, const struct node *n, const double *value);
/* Frees what no later node takes. */
void lanes_forget(struct lanes *l, const struct node *n);

#endif
