/* Running the reference against what PyTorch left in a golden file
 * (docs/formats.md). */
#ifndef VERIFY_GOLDEN_H
#define VERIFY_GOLDEN_H

#include "verify/finding.h"

#include "datasets/h5.h"
#include "ref/internimage.h"
#include "ref/ref.h"

struct golden_options {
    const char *filter;         /* only units or tensors containing this; NULL: all */
    const char *only;           /* only the op case with exactly this name; NULL: all */
    const char *isa;            /* the fast side on this ISA alone; NULL: on all there are */
    void (*progress)(const char *unit, int done, int total);   /* may be NULL */
};

/* Compares everything in the file; appends findings. False when the file is bad. */
bool golden_verify(const char *path, const struct golden_options *o, struct findings *found,
                   struct error *e);

/* --- shared by the two kinds of golden file --------------------------------- */

bool golden_ops(struct h5_file *f, const char *path, const struct golden_options *o,
                struct findings *found, struct error *e);
bool golden_model(struct h5_file *f, const char *path, const struct golden_options *o,
                  struct findings *found, struct error *e);

/* Format, version and kind ("ops", "model") of the file. */
bool golden_kind(struct h5_file *f, const char *path, char *kind, size_t size, struct error *e);
/* What a model's file starts from: the graph of its configuration at the size of its input,
 * with its name for people. NULL when the file is bad. */
struct graph *golden_graph(struct h5_file *f, const char *path, char *name, size_t size,
                           struct internimage_config *c, struct error *e);
/* Every parameter, from the file or from the seeded generator, one after the other;
 * `values` is valid during the call. */
bool golden_params(struct h5_file *f, const struct graph *g,
                   bool (*take)(void *context, int index, const float *values), void *context,
                   struct error *e);

/* The same read as a whole: what a run needs. */
struct golden_start {
    char model[64];
    struct internimage_config config;
    struct graph *graph;
    float **param;              /* [graph->params] */
    float *image;               /* [N,3,H,W] */
};
bool golden_start(const char *path, struct golden_start *s, struct error *e);
void golden_start_free(struct golden_start *s);

struct pair;
/* Runs the fast side on every ISA and compares each value it leaves behind. */
bool golden_opt(const struct pair *p, const char *name, const char *isa, struct findings *found,
                struct error *e);

/* The same for training: forward and backward; after pair_backward(). */
bool golden_train(const struct pair *p, const char *name, const char *isa, const float *d_output,
                  struct findings *found, struct error *e);
/* The rms below which the gradient of a node's parameters is rounding noise. */
double sibling_scale(const struct pair *p, const struct node *n);

/* A graph run in both precisions on the same float32 numbers. */
struct pair {
    struct graph *graph;
    struct ref32_run *r32;
    struct ref64_run *r64;
};
bool pair_new(struct pair *p, struct graph *g, struct error *e);    /* takes g */
void pair_free(struct pair *p);
void pair_set_value(struct pair *p, const struct node *n, const float *from);
void pair_set_param(struct pair *p, int index, const float *from);
/* One thread per precision; progress may be NULL. */
void pair_forward(struct pair *p, void (*progress)(void *, int, int), void *context);
bool pair_backward(struct pair *p, const float *d_output, struct error *e);

/* One case of a golden file of ops as a graph of one op, its inputs and parameters set; not
 * run yet. *condition: see envelope_of(). */
bool golden_case(struct h5_file *f, const char *name, struct pair *p, double *condition,
                 struct error *e);

/* One tensor of both precisions, and where PyTorch's version of it lies in the
 * file: <prefix>float32/<where>, <prefix>float64/<where>. */
struct subject {
    const char *unit, *tensor;
    enum direction direction;
    const char *prefix, *group, *key;   /* group: "" or "grad" below the precision */
    struct shape shape;                 /* ours */
    const float *v32;
    const double *v64;
    bool chained;                       /* many layers lie behind it */
    double terms;                       /* see ref32_bound() */
    double condition;                   /* 0 means 1, see envelope_of() */
    double scale;                       /* rms below which errors are no longer relative */
};
/* Compares one tensor if the file has it; *seen says whether. */
bool golden_compare(struct h5_file *f, const struct subject *s, struct findings *found,
                    bool *seen, struct error *e);

#endif
