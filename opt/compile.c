/* From a graph to fused steps. Each node is visited in order; a node whose only reader
 * can be done in the same pass is taken along:
 *
 *   convolution (+ batch norm folded into the weights) (+ GELU)
 *   linear (+ GELU), or linear (+ layer scale folded into the weights) (+ residual)
 *   layer norm (+ GELU), or layer norm (+ layer scale folded in) (+ residual)
 *   depthwise convolution + layer norm + GELU
 *   offset and mask (and center feature scale) linear layers as one product
 *   softmax + tap set-up + DCNv3 (+ center feature scale)                          */
#include "compile.h"
#include "ref/ref.h"

#include <stdlib.h>
#include <string.h>
/* --- buffers and steps ------------------------------------------------------------ */

bool refuse_node(struct compiler *c, const struct node *n, const char *why)
{
    return fail(c->error, EXIT_NOT_BUILT, "%s '%s': %s; the fast side has no kernel for it",
                ref64_op_row(n->op)->name, n->name, why);
}

int new_buffer(struct compiler *c, int64_t floats)
{
    struct plan *p = c->p;
    p->buffer[p->buffers] = (struct buffer){
        .size = (size_t)(floats + 15) / 16 * 16, .first = p->steps, .last = p->steps,
    };
    return p->buffers++;
}

struct step *new_step(struct compiler *c, step_function *run, const char *kind,
                      const struct node *n)
{
    struct step *s = &c->p->step[c->p->steps];
    *s = (struct step){.run = run, .kind = kind, .node = n, .out = -1, .in = {-1, -1, -1},
                       .residual = -1, .scale_column = -1};
    s->rows = shape_rows(&n->shape);
    s->channels = (int)shape_last(&n->shape);
    return s;
}

int use(struct compiler *c, const struct node *n)
{
    int index = c->p->buffer_of[n->id];
    if (index >= 0 && c->p->buffer[index].last < c->p->steps)
        c->p->buffer[index].last = c->p->steps;
    return index;
}

void emit(struct compiler *c, struct step *s, const struct node *n)
{
    s->node = n;
    s->out = new_buffer(c, shape_count(&n->shape));
    c->p->buffer_of[n->id] = s->out;
    c->done[n->id] = true;
    c->p->steps++;
}

struct node *only_reader(const struct compiler *c, const struct node *n, enum op_kind op)
{
    struct node *r = c->readers[n->id] == 1 ? c->reader[n->id] : NULL;
    return r && r->op == op && !c->done[r->id] ? r : NULL;
}

const float *param(const struct compiler *c, const struct node *n, int i)
{
    return i < n->params ? c->params[n->param[i]] : NULL;
}

float *own_copy(struct compiler *c, const float *from, int64_t count)
{
    float *to = plan_own(c->p, (size_t)count);
    if (to && from)
        memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

/* --- the rest -------------------------------------------------------------------------------- */

/* Steps that only read the values of their inputs. `over`: rows and channels of this. */
static bool compile_plain(struct compiler *c, const struct node *n, step_function *run,
                          const struct shape *over)
{
    struct step *s = new_step(c, run, ref64_op_row(n->op)->name, n);
    s->rows = shape_rows(over);
    s->channels = (int)shape_last(over);
    for (int i = 0; i < n->inputs && i < STEP_INPUTS; i++)
        s->in[i] = use(c, n->in[i]);
    if (n->op == OP_attention_pool)
        s->scratch = (size_t)(s->rows / n->shape.dim[0]);
    emit(c, s, n);
    return true;
}

/* An input of the graph is read where the caller has it. */
static bool compile_input(struct compiler *c, const struct node *n, int index)
{
    const int buffer = new_buffer(c, 0);
    c->p->buffer[buffer].input = index + 1;
    c->p->buffer_of[n->id] = buffer;
    return c->done[n->id] = true;
}

static int input_index(const struct compiler *c, const struct node *n)
{
    int index = 0;
    for (int i = 0; i < n->id; i++)
        index += c->g->node[i]->op == OP_input;
    return index;
}

static bool compile_constant(struct compiler *c, const struct node *n)
{
    struct step *s = new_step(c, run_constant, "constant", n);
    emit(c, s, n);
    return true;
}

static bool compile_node(struct compiler *c, const struct node *n)
{
    switch (n->op) {
    case OP_input: return compile_input(c, n, input_index(c, n));
    case OP_to_nhwc: return compile_plain(c, n, run_to_nhwc, &n->shape);
    case OP_to_nchw: return compile_plain(c, n, run_to_nchw, &n->shape);
    case OP_constant: return compile_constant(c, n);
    case OP_dcnv2: return compile_dcnv2(c, n);
    case OP_linear: return compile_linear(c, n);
    case OP_conv2d: return compile_conv(c, n);
    case OP_dwconv2d: return compile_dwconv(c, n);
    case OP_layer_norm: return compile_norm(c, n);
    case OP_dcnv3: return compile_dcnv3(c, n);
    case OP_add: return compile_plain(c, n, run_add, &n->shape);
    case OP_gelu: case OP_sigmoid: return compile_plain(c, n, run_unary, &n->shape);
    case OP_softmax: return compile_plain(c, n, run_softmax, &n->shape);
    case OP_global_avg_pool: return compile_plain(c, n, run_mean, &n->in[0]->shape);
    case OP_attention_pool: return compile_plain(c, n, run_attention, &n->in[1]->shape);
    case OP_pixel_shuffle: return compile_plain(c, n, run_pixel_shuffle, &n->shape);
    default: return refuse_node(c, n, "it stands alone");
    }
}

static bool compile_all(struct compiler *c)
{
    const struct graph *g = c->g;
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i]->inputs; k++) {
            c->readers[g->node[i]->in[k]->id]++;
            c->reader[g->node[i]->in[k]->id] = g->node[i];
        }
    c->readers[g->node[g->nodes - 1]->id]++;    /* the caller */
    claim_modules(c);
    for (int i = 0; i < g->nodes; i++)
        if (!c->done[i] && !compile_node(c, g->node[i]))
            return false;
    c->p->buffer[c->p->buffer_of[g->node[g->nodes - 1]->id]].last = c->p->steps;
    return true;
}

bool plan_compile(struct plan *p, float *const *params, const struct plan_options *o,
                  struct error *e)
{
    const struct graph *g = p->graph;
    const size_t most = (size_t)g->nodes + 1;   /* a node makes at most three steps */
    struct compiler c = {.p = p, .g = g, .params = params, .error = e,
                         .gemm = o->gemm == GEMM_ONEDNN ? GEMM_ONEDNN : GEMM_OWN};
    p->step = calloc(3 * most, sizeof *p->step);
    p->buffer = calloc(3 * most, sizeof *p->buffer);
    p->buffer_of = malloc(most * sizeof *p->buffer_of);
    c.readers = calloc(most, sizeof *c.readers);
    c.reader = calloc(most, sizeof *c.reader);
    c.done = calloc(most, sizeof *c.done);
    bool ok = p->step && p->buffer && p->buffer_of && c.readers && c.reader && c.done;
    for (size_t i = 0; ok && i < most; i++)
        p->buffer_of[i] = -1;
    ok = ok ? compile_all(&c) : fail(e, EXIT_USAGE, "out of memory for a plan");
    for (int i = 0; ok && i < o->kept_count; i++)
        if (o->kept[i] && p->buffer_of[o->kept[i]->id] >= 0)
            p->buffer[p->buffer_of[o->kept[i]->id]].last = p->steps;
    free(c.readers);
    free(c.reader);
    free(c.done);
    return ok;
}
