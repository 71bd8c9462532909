/* Inside of the plan compiler: compile.c walks the graph, compile_rows.c does products,
 * norms and depthwise convolutions, compile_dcn.c the deformable operators. */
#ifndef OPT_COMPILE_H
#define OPT_COMPILE_H

#include "plan_internal.h"

struct compiler {
    struct plan *p;
    const struct graph *g;
    float *const *params;
    int *readers;               /* by node id */
    struct node **reader;       /* the last of them */
    bool *done;
    enum gemm_choice gemm;      /* never GEMM_AUTO */
    struct error *error;
};

/* Fills the error, returns false. */
bool refuse_node(struct compiler *c, const struct node *n, const char *why);
int new_buffer(struct compiler *c, int64_t floats);
/* The next step, not counted until it is emitted. */
struct step *new_step(struct compiler *c, step_function *run, const char *kind,
                      const struct node *n);
/* The buffer of a node's value, kept alive until the step being built. */
int use(struct compiler *c, const struct node *n);
/* The step is complete; its result is the value of `n`. */
void emit(struct compiler *c, struct step *s, const struct node *n);
/* The only reader of a node's value when it is of kind `op`; NULL otherwise. */
struct node *only_reader(const struct compiler *c, const struct node *n, enum op_kind op);
const float *param(const struct compiler *c, const struct node *n, int i);
float *own_copy(struct compiler *c, const float *from, int64_t count);

/* Packs the weight [n, k] for our own kernel; takes its own copy of the bias. */
bool set_gemm(struct compiler *c, struct step *s, int n, int k, const float *weight,
              const float *bias);
/* The same, or oneDNN's primitive where that was chosen. Call it last: s->gemm.gelu and
 * s->residual are part of the primitive. */
bool set_product(struct compiler *c, struct step *s, int n, int k, const float *weight,
                 const float *bias);

/* Linear layers that a later dcnv3 node takes along must not become steps. */
void claim_modules(struct compiler *c);
bool compile_linear(struct compiler *c, const struct node *n);
bool compile_conv(struct compiler *c, const struct node *n);
bool compile_norm(struct compiler *c, const struct node *n);
bool compile_dwconv(struct compiler *c, const struct node *n);
bool compile_dcnv2(struct compiler *c, const struct node *n);
bool compile_dcnv3(struct compiler *c, const struct node *core);

#endif
