/* What is measured: a model, a layer or a single op as a graph with seeded parameters
 * and inputs, and who runs it. Time, instruction counts and gates share these. */
#ifndef VERIFY_BENCH_SUBJECT_H
#define VERIFY_BENCH_SUBJECT_H

#include "opt/plan.h"

enum work {
    WORK_FORWARD,               /* the fast side's plan */
    WORK_TRAIN,                 /* its forward and backward, every value kept */
    WORK_BACKWARD,              /* the backward of that alone */
    WORK_REF, WORK_REF_BACKWARD /* the scalar definition in float */
};
const char *work_name(enum work w);     /* "forward", "train", "backward", "ref"... */

struct subject_spec {
    const char *name;           /* a model's, or one of subject_names() */
    int height, width, batch, threads;
    const char *isa;            /* NULL: the best there is */
    enum gemm_choice gemm;
    enum work work;
};

struct subject;

/* NULL after filling *e. The first run of a subject may be slower than the others. */
struct subject *subject_new(const struct subject_spec *s, struct error *e);
void subject_free(struct subject *s);
bool subject_run(struct subject *s, struct error *e);

/* Floating-point operations of a run: twice the multiply-accumulates as the paper counts
 * them, the plain convolution's for DCNv2; backward counts twice the forward. Ops without
 * a product: what their formula costs per value (see graphs.c). */
double subject_flops(const struct subject *s);
/* Bytes that must move at least: inputs, parameters and output once. */
double subject_bytes(const struct subject *s);
void subject_size(const struct subject *s, int *height, int *width);
const char *subject_isa(const struct subject *s);       /* "scalar" for the definition */
const struct plan *subject_plan(const struct subject *s);       /* NULL: no plan */
void subject_profile(struct subject *s, bool on);
/* "internimage_t/224x224/batch:1/threads:1/isa:avx2", "/pass:train" where not forward. */
void subject_label(const struct subject *s, char *to, size_t size);

/* --- graphs.c ------------------------------------------------------------------------- */

/* Names that `filter` stands for: "dcnv2" single DCNv2 layers, "ops" single ops in the
 * shapes of InternImage-T's second stage; otherwise itself. NULL after the last. */
const char *subject_names(const char *filter, int index);
/* Layers have a size of their own; of models and ops it is given. */
struct graph *subject_graph(const char *name, int batch, int *height, int *width, double *flops,
                            struct error *e);

#endif
