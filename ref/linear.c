/* Linear layer: every row of the input times the weight matrix.
 *
 *   y[r, o] = b[o] + sum_i x[r, i] w[o, i]                     torch.nn.Linear */
#include "row.h"

void REF(linear_forward)(int64_t rows, int in, int out, const real *input, const real *weight,
                         const real *bias, real *output)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int o = 0; o < out; o++) {
            const real *x = input + r * in, *w = weight + (size_t)o * in;
            real sum = bias ? bias[o] : 0;
            for (int i = 0; i < in; i++)
                sum += x[i] * w[i];
            output[r * out + o] = sum;
        }
    }
}

/* dL/dx[r,i] = sum_o dL/dy[r,o] w[o,i];  dL/dw[o,i] = sum_r dL/dy[r,o] x[r,i];
 * dL/db[o] = sum_r dL/dy[r,o] */
void REF(linear_backward)(int64_t rows, int in, int out, const real *input, const real *weight,
                          const real *d_output, real *d_input, real *d_weight, real *d_bias)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int o = 0; o < out; o++) {
            const real d = d_output[r * out + o];
            const real *x = input + r * in, *w = weight + (size_t)o * in;
            for (int i = 0; d_input && i < in; i++)
                d_input[r * in + i] += d * w[i];
            for (int i = 0; d_weight && i < in; i++)
                d_weight[(size_t)o * in + i] += d * x[i];
            if (d_bias)
                d_bias[o] += d;
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    const int64_t out = n->attr.out_channels;
    if (out < 1)
        return refuse(g, n, "out_channels is %lld", (long long)out);
    n->shape = *in;
    n->shape.dim[in->rank - 1] = out;
    return node_param(g, n, "weight", shape_of(2, out, shape_last(in)), false)
        && (!n->attr.bias || node_param(g, n, "bias", shape_of(1, out), false));
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    const struct shape *in = &n->in[0]->shape;
    REF(linear_forward)(shape_rows(in), (int)shape_last(in), n->attr.out_channels, a->in[0],
                        a->param[0], a->param[1], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    const struct shape *in = &n->in[0]->shape;
    REF(linear_backward)(shape_rows(in), (int)shape_last(in), n->attr.out_channels, a->in[0],
                         a->param[0], d_output, a->d_in[0], a->d_param[0], a->d_param[1]);
}

static double macs(const struct node *n)
{
    return (double)shape_count(&n->shape) * (double)shape_last(&n->in[0]->shape);
}

static double terms(const struct node *n)
{
    return (double)shape_last(&n->in[0]->shape);
}

const struct REF(op) REF(linear_op) = {
    .name = "linear", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = macs, .terms = terms,
};
