/* Inside of the trainer: trainer.c walks the graph, train_products.c has products
 * and convolutions, train_rows.c norms and activations, train_dcn.c the deformable operators. */
#ifndef OPT_TRAINER_INTERNAL_H
#define OPT_TRAINER_INTERNAL_H

#include "share.h"
#include "trainer.h"

#include <omp.h>

struct trainer {
    const struct graph *graph;
    const struct kernels *kernels;
    const struct kernels *narrow;       /* for rows that do not fill a vector, see narrow_or() */
    int threads;
    struct ref32_run *run;
    float *scratch;             /* the most any node asks for; 64-byte aligned */
    bool *wanted;               /* per node: its gradient is */
    bool *zeroed;               /* per node, during a backward pass */
};

/* A CPU with vectors of 16 has those of 8 too, and on `size` channels that leave half of the
 * last vector empty they do less for nothing. */
static inline const struct kernels *narrow_or(const struct trainer *t, int size)
{
    return (size + 7) / 8 % 2 ? t->narrow : t->kernels;
}

/* Runs the statement for each thread with its `part` of `count`. */
#define SHARED(t, count, ...) \
    do { \
        _Pragma("omp parallel num_threads((t)->threads)") \
        { \
            const int thread = omp_get_thread_num(); \
            const struct share part = share_of(count, thread, omp_get_num_threads()); \
            (void)thread; \
            __VA_ARGS__; \
        } \
    } while (0)

/* Adds the threads' partial sums, `size` floats each, to `to`. */
static inline void add_partial(const struct trainer *t, const float *partial, size_t size, float *to)
{
    for (int i = 0; i < t->threads; i++)
        t->kernels->add_to((int64_t)size, partial + (size_t)i * size, to);
}

/* Floats for two sums over the rows of a node per thread. */
static inline size_t row_scratch(const struct trainer *t, const struct node *n)
{
    return 2 * (size_t)t->threads * (size_t)shape_last(&n->shape);
}

/* How a node is run. Forward writes its output, backward adds to the d_ arrays. */
struct fast_op {
    void (*forward)(const struct trainer *t, const struct node *n, const struct ref32_op_args *a,
                    float *output);
    void (*backward)(const struct trainer *t, const struct node *n, const struct ref32_op_args *a,
                     const float *d_output);
    size_t (*scratch)(const struct trainer *t, const struct node *n);  /* floats; may be NULL */
    bool (*fits)(const struct node *n);     /* whether it covers this node; NULL: always */
    bool skips;                 /* its backward takes NULL for an input's gradient */
};

extern const struct fast_op linear_fast, conv2d_fast, dwconv2d_fast, layer_norm_fast, gelu_fast,
    softmax_fast, add_fast, layer_scale_fast, dcnv2_fast, dcnv3_fast, drop_path_fast, to_nhwc_fast;

#endif
