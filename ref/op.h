/* One row of the op table, see ops.def. Included once per precision, no guard. */

/* The arrays of one node while it runs. Entries are in the order of the node's
 * inputs and parameters; gradient entries are NULL when nobody wants them. */
struct REF(op_args) {
    const real *in[4], *param[4];
    const real *out;                    /* backward: the forward's result */
    real *d_in[4], *d_param[4];         /* backward: add here */
};

struct REF(op) {
    const char *name;
    const char *inputs[4];              /* NULL terminated names, as in golden files */
    int optional_inputs;                /* how many of the last inputs may be absent */
    /* Checks the inputs, sets the node's shape, declares its parameters. */
    bool (*infer)(struct graph *, struct node *);
    void (*forward)(const struct node *, const struct REF(op_args) *, real *output);
    void (*backward)(const struct node *, const struct REF(op_args) *, const real *d_output);
    /* Multiply-accumulates as the paper counts them (conv, linear and 5 per DCNv3
     * sample; everything else 0). */
    double (*macs)(const struct node *);
    /* Length of the longest sum behind one output value: rounding grows with it. */
    double (*terms)(const struct node *);
};

/* The row of an op kind (graph.h); both precisions have the same rows. */
const struct REF(op) *REF(op_row)(enum op_kind kind);
