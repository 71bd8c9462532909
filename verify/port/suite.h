/* What is in the conformance suite: the cases, each a graph with its inputs and parameters. */
#ifndef VERIFY_PORT_SUITE_H
#define VERIFY_PORT_SUITE_H

#include "verify/golden.h"

#include "ref/internimage.h"

enum { SUITE_SEED = 1 };

/* Called once per case of single ops; the pair is not run yet, and freed afterwards. `stream`:
 * its dL/d(output) is the seeded stream "<stream>/grad_output". False stops. */
typedef bool suite_visit(void *context, const char *name, struct pair *p, double condition,
                         struct error *e);
/* Deformable convolutions first, then every other op of the table. */
bool suite_ops(suite_visit *visit, void *context, struct error *e);

/* DCNv3 layers as in the backbone: projections, offset branch, operator. */
struct suite_module {
    const char *name;
    int batch, height, width, channels, groups;
    struct internimage_config config;   /* kernel sizes, offset scale, remove_center, center
                                           feature scale; nothing else counts */
};
extern const struct suite_module suite_modules[];
extern const int suite_module_count;
/* Nodes and parameters are named "dcn.<PyTorch name>"; the input "input". */
struct graph *suite_module_graph(const struct suite_module *m, struct error *e);

struct suite_model {
    const char *name;
    int batch, height, width;
    bool sampled;               /* too large to be kept whole */
};
extern const struct suite_model suite_models[];
extern const int suite_model_count;
bool suite_model_config(const char *name, struct internimage_config *c, struct error *e);

/* Seeded parameters, and the input 2 u("input", i); for modules and models. */
bool suite_fill(struct pair *p, struct error *e);

#endif
