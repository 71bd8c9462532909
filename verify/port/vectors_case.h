/* Reading a suite back: its cases as graphs, what is expected of them, and the rule by which
 * the suite accepts a result. Files are golden files (docs/formats.md), or ours. */
#ifndef VERIFY_PORT_VECTORS_CASE_H
#define VERIFY_PORT_VECTORS_CASE_H

#include "suite.h"

/* Relative rms within `limit`; or, when rtol or atol is set, every element within
 * atol + rtol |expected|. */
struct vector_rule {
    bool elementwise;
    double rtol, atol, limit;
};

struct vector_check {
    int node;                   /* in the graph */
    int64_t count;
    double *expected;
    struct vector_rule rule;
};
/* Whether the rule accepts x. */
bool vector_check(const struct vector_check *c, const double *x);

struct vector_case {
    const char *name;
    struct pair pair;           /* run forward */
    bool is_model, is_module;
    struct internimage_config config;           /* of a model */
    struct vector_check *check;
    int checks;
    /* Gradients of a deformable convolution: dL/d(output), NULL when the case has none, and
     * what is expected; `node` then counts inputs, then parameters. */
    double *d_output;
    struct vector_check gradient[5];
    int gradients;
};

typedef bool vector_visit(void *context, const struct vector_case *c, struct error *e);
/* Every case of one .h5 file. A model whose parameters or values are not in the file is passed
 * over. */
bool vector_cases(const char *path, vector_visit *visit, void *context, struct error *e);

#endif
