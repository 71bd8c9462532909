/* A graph compiled to fused steps on packed weights and one arena. Compiling is slow
 * once; running allocates nothing. Two plans may run at the same time. */
#ifndef OPT_PLAN_H
#define OPT_PLAN_H

#include "kernels.h"
#include "ref/graph.h"

struct plan;

/* Who multiplies matrices: our kernels or oneDNN. GEMM_AUTO takes the one measured to be
 * faster on the shapes of InternImage, which on every ISA is ours (results/README.md).
 * The product inside of DCNv2 is always ours: it reads tiles that exist for a moment. */
enum gemm_choice { GEMM_AUTO, GEMM_OWN, GEMM_ONEDNN };

struct plan_options {
    enum gemm_choice gemm;
    const char *isa;            /* NULL: the best there is, or INTERNIMAGE_ISA */
    int threads;                /* 0: as many as OpenMP would use */
    bool keep;                  /* every step's result stays readable after a run */
    const struct node *const *kept; /* or only those of these nodes (NULLs are skipped) */
    int kept_count;
};

/* `params[i]`: the values of graph parameter i; not needed after the call. NULL after
 * filling *e, also when the graph has an op that has no fast version. */
struct plan *plan_new(const struct graph *g, float *const *params, struct plan_options o,
                      struct error *e);
void plan_free(struct plan *p);

/* inputs: the graph's input nodes in order, in their layout; output: shape of the last
 * node. */
void plan_run(struct plan *p, const float *const *inputs, float *output);

/* What a step leaves behind: the value of one node, or NULL when it was fused away or
 * its memory reused (see `keep`). */
const float *plan_value(const struct plan *p, const struct node *n);

const char *plan_isa(const struct plan *p);
int plan_threads(const struct plan *p);
size_t plan_arena_bytes(const struct plan *p), plan_weight_bytes(const struct plan *p);

/* Time per step, when profiling is on: averages over the runs since. */
void plan_profile(struct plan *p, bool on);
int plan_steps(const struct plan *p);
struct plan_step_info {
    const char *name, *kind;    /* node whose value it is; what it does */
    double seconds, flops;      /* per run */
};
struct plan_step_info plan_step(const struct plan *p, int index);

#endif
