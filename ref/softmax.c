/* Softmax over each run of P values:  y_p = exp(x_p - max) / sum_k exp(x_k - max).
 * In DCNv3 a run is the P sampling points of one group: its modulation. */
#include "row.h"

#include <tgmath.h>

void REF(softmax_forward)(int64_t rows, int points, const real *input, real *output)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *x = input + r * points;
        real *y = output + r * points, largest = x[0], sum = 0;
        for (int p = 1; p < points; p++)
            largest = x[p] > largest ? x[p] : largest;
        for (int p = 0; p < points; p++)
            sum += y[p] = exp(x[p] - largest);
        for (int p = 0; p < points; p++)
            y[p] /= sum;
    }
}

/* dL/dx_p = y_p (dL/dy_p - sum_k dL/dy_k y_k) */
void REF(softmax_backward)(int64_t rows, int points, const real *output, const real *d_output,
                           real *d_input)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *y = output + r * points, *d = d_output + r * points;
        real dot = 0;
        for (int p = 0; p < points; p++)
            dot += d[p] * y[p];
        for (int p = 0; p < points; p++)
            d_input[r * points + p] += y[p] * (d[p] - dot);
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    int64_t channels = shape_last(&n->in[0]->shape);
    if (n->attr.points < 1 || channels % n->attr.points)
        return refuse(g, n, "%lld values do not divide into runs of %d", (long long)channels,
                      n->attr.points);
    return infer_same(g, n);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(softmax_forward)(shape_count(&n->shape) / n->attr.points, n->attr.points, a->in[0],
                         output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    if (a->d_in[0])
        REF(softmax_backward)(shape_count(&n->shape) / n->attr.points, n->attr.points, a->out,
                              d_output, a->d_in[0]);
}

static double terms(const struct node *n)
{
    return n->attr.points;
}

const struct REF(op) REF(softmax_op) = {
    .name = "softmax", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = terms,
};
