/* Short calls for building graphs: one line per layer, as a paper would list
 * them. All return NULL after an error (see graph_add). */
#ifndef REF_BUILD_H
#define REF_BUILD_H

#include "graph.h"

struct node *conv2d(struct graph *g, struct node *x, const char *name, int out, int kernel,
                    int stride, bool bias);
struct node *dwconv2d(struct graph *g, struct node *x, const char *name, int kernel);
struct node *linear(struct graph *g, struct node *x, const char *name, int out, bool bias);
struct node *layer_norm(struct graph *g, struct node *x, const char *name);
struct node *batch_norm(struct graph *g, struct node *x, const char *name, bool training);
struct node *unary(struct graph *g, enum op_kind op, struct node *x, const char *name);
struct node *softmax(struct graph *g, struct node *x, const char *name, int points);
struct node *constant(struct graph *g, struct node *x, const char *name, int channels, double value);
struct node *layer_scale(struct graph *g, struct node *x, const char *name, const char *key);
/* Adds the input `<name>.scale`, [N]; at rate 0 nothing. */
struct node *drop_path(struct graph *g, struct node *x, const char *name, double rate);
struct node *add(struct graph *g, struct node *a, struct node *b, const char *name);
struct node *pixel_shuffle(struct graph *g, struct node *x, const char *name, int factor);

#endif
