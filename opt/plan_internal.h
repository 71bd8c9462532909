/* Inside of a plan: shared by compile.c (graph to steps), steps.c (what they do) and
 * plan.c (memory, running). */
#ifndef OPT_PLAN_INTERNAL_H
#define OPT_PLAN_INTERNAL_H

#include "plan.h"
#include "share.h"

enum { STEP_INPUTS = 3, CONV_ROWS = 56 };    /* windows per tile of a convolution */

/* A piece of the arena: the value of a node, or a step's own table. */
struct buffer {
    size_t size;                /* floats */
    size_t offset;              /* in the arena, floats */
    int input;                  /* not 0: input number input-1 itself, no memory of its own */
    int ld;                     /* floats from row to row when padded, or 0 */
    int first, last;            /* steps between which it must live */
    int frame_height, frame_width;  /* not 0: a DCNv3 frame, never moved or reused */
};

struct step;
/* The share of thread `thread` of `threads`. */
typedef void step_function(const struct plan *p, const struct step *s, int thread, int threads);

struct step {
    step_function *run;
    const char *kind;
    const struct node *node;    /* whose value it leaves in `out` */
    int out, in[STEP_INPUTS];   /* buffers; in: -1 when unused */
    int residual;               /* buffer added at the end, or -1 */
    int64_t rows;               /* pixels, of all images */
    int channels;
    double flops;
    struct gemm gemm;
    struct dwconv dwconv;
    struct dcnv3_plan dcnv3;
    struct dcnv2_plan dcnv2;
    const float *weight, *bias; /* of a norm */
    float eps;
    bool gelu;
    int branch;                 /* row length of the offset branch's planes */
    int scale_column;           /* center feature scale's logits in such a row, or -1 */
    struct window y, x;         /* convolution by im2col */
    int in_channels;
    struct onednn *primitive;   /* or NULL: our own kernel */
    bool whole;                 /* runs outside of the parallel region, on its own threads */
    size_t scratch;             /* floats per thread */
    double seconds;
};

struct plan {
    const struct graph *graph;
    const struct kernels *kernels;
    int threads;
    bool keep, profiling;
    struct step *step;
    int steps;
    struct buffer *buffer;
    int buffers;
    int *buffer_of;             /* by node id; -1: fused away */
    float *arena, *scratch;     /* scratch: scratch_size floats per thread */
    size_t arena_size, scratch_size;
    float **owned;              /* packed weights and tables */
    int owned_count;
    size_t owned_bytes;
    const float *const *inputs; /* of the run going on */
    int runs;
};

static inline float *buffer_at(const struct plan *p, int index)
{
    if (index >= 0 && p->buffer[index].input)       /* the caller's memory: never written */
        return (float *)(uintptr_t)p->inputs[p->buffer[index].input - 1];
    return index < 0 ? NULL : p->arena + p->buffer[index].offset;
}

/* compile.c */
bool plan_compile(struct plan *p, float *const *params, const struct plan_options *o,
                  struct error *e);
/* Memory that lives as long as the plan, 64-byte aligned, zeroed; NULL when short. */
float *plan_own(struct plan *p, size_t floats);

/* steps.c */
step_function run_to_nhwc, run_to_nchw, run_constant, run_frame, run_pack, run_dcnv2, run_gemm,
    run_onednn, run_conv, run_layer_norm, run_dwconv, run_dcnv3, run_unary, run_add, run_mean,
    run_softmax, run_attention, run_pixel_shuffle;

#endif
