/* A model, described once: a list of nodes in execution order. A node is plain
 * data - op, inputs, parameters, attributes, output shape - and carries the
 * PyTorch module path as its name; a parameter carries its state_dict key. */
#ifndef REF_GRAPH_H
#define REF_GRAPH_H

#include "error.h"
#include "shapes.h"

#include <stdbool.h>
#include <stdint.h>

enum op_kind {
#define OP(name) OP_##name,
#include "ops.def"
#undef OP
    OP_COUNT
};

enum { MAX_RANK = 4, MAX_INPUTS = 4, MAX_PARAMS = 4, NAME_SIZE = 112 };

struct shape {
    int rank;
    int64_t dim[MAX_RANK];
};

/* Everything an op may be told; the names are those of docs/formats.md. */
struct attr {
    struct window y, x;                 /* kernel, stride, pad, dilation */
    int out_channels, groups, offset_groups;
    int points, factor, heads;
    bool bias, remove_center;
    double offset_scale, eps, value;
    double rate;                        /* of dropping, for who fills a mask */
};

struct param {
    char key[NAME_SIZE];
    struct shape shape;
    bool buffer;                        /* running statistics: not trained */
};

struct node {
    int id;                             /* its index in graph.node */
    enum op_kind op;
    char name[NAME_SIZE];
    int inputs, params;
    struct node *in[MAX_INPUTS];
    int param[MAX_PARAMS];              /* indices into graph.param */
    struct attr attr;
    struct shape shape;
};

struct graph {
    struct node **node;
    struct param *param;
    int nodes, params;
    char scope[NAME_SIZE];              /* prefix of names being added, with its dot */
    struct error error;                 /* the first mistake; graph_add then returns NULL */
};

int64_t shape_count(const struct shape *s);
bool shape_equal(const struct shape *a, const struct shape *b);
struct shape shape_of(int rank, ...);   /* int64_t dimensions */
int64_t shape_last(const struct shape *s);          /* last dimension */
int64_t shape_rows(const struct shape *s);          /* product of all the others */
const char *shape_text(const struct shape *s, char *buffer, int size);  /* "2x7x11x24" */

struct graph *graph_new(void);
void graph_free(struct graph *g);

/* Names added until the matching graph_leave() start with the formatted scope:
 * graph_enter(g, "levels.%d", 0) ... */
int graph_enter(struct graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void graph_leave(struct graph *g, int mark);

/* Attributes with every default in place (kernel 1, stride 1, groups 1, bias...). */
struct attr attr_default(void);

/* Adds a node named scope+name. Returns NULL, with g->error filled, when the op
 * refuses its inputs; NULL inputs are passed on silently, so a chain of calls
 * needs one check at its end. */
struct node *graph_add(struct graph *g, enum op_kind op, const char *name, struct attr attr,
                       struct node *const *inputs, int count);
struct node *graph_input(struct graph *g, const char *name, struct shape shape);

/* For infer functions: declares the node's next parameter, key = node name +
 * "." + suffix. */
bool node_param(struct graph *g, struct node *n, const char *suffix, struct shape shape,
                bool buffer);
/* The official model names a few parameters irregularly (`gamma1`, `q_bias`). */
void rename_param(struct graph *g, struct node *n, int index, const char *key);
/* For infer functions: fills g->error with the node's name in front, returns false. */
bool refuse(struct graph *g, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct node *graph_find(const struct graph *g, const char *name);
int graph_find_param(const struct graph *g, const char *key);       /* -1: none */
enum op_kind op_find(const char *name);                              /* OP_COUNT: none */

/* Sums over the graph. */
int64_t graph_parameters(const struct graph *g);    /* without buffers, as the paper counts */
double graph_macs(const struct graph *g);
int64_t graph_activation_values(const struct graph *g);

#endif
