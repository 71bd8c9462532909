/* Running a graph and keeping every value. Included once per precision. */

struct REF(run) {
    const struct graph *graph;
    real **param;                       /* [graph.params], caller fills them */
    real **value;                       /* [graph.nodes], input nodes: caller fills */
    real **d_param, **d_value;          /* NULL until REF(run_backward) */
};

/* Allocates parameters and values (zeroed). NULL when memory is short. */
struct REF(run) *REF(run_new)(const struct graph *g, struct error *e);
void REF(run_free)(struct REF(run) *r);

/* Computes every node in order; `progress` may be NULL and is called after each. */
void REF(run_forward)(struct REF(run) *r, void (*progress)(void *context, int done, int total),
                      void *context);

/* The arrays a node's op is called with. */
struct REF(op_args) REF(run_args)(const struct REF(run) *r, const struct node *n);
/* Allocates all gradients, or sets them to zero. */
bool REF(run_zero_gradients)(struct REF(run) *r, struct error *e);

/* Gradients of sum(output * d_output) with respect to every value and parameter;
 * output is the last node. Zeroes the gradients first. */
bool REF(run_backward)(struct REF(run) *r, const real *d_output, struct error *e);
