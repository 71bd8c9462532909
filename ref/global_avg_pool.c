/* Global average pool:  y[n, c] = mean over all pixels of x[n, :, c] */
#include "row.h"

void REF(global_avg_pool_forward)(int batch, int64_t pixels, int channels, const real *input,
                                  real *output)
{
    for (int n = 0; n < batch; n++) {
        for (int c = 0; c < channels; c++) {
            real sum = 0;
            for (int64_t p = 0; p < pixels; p++)
                sum += input[(n * pixels + p) * channels + c];
            output[(int64_t)n * channels + c] = sum / (real)pixels;
        }
    }
}

void REF(global_avg_pool_backward)(int batch, int64_t pixels, int channels,
                                   const real *d_output, real *d_input)
{
    for (int n = 0; n < batch; n++)
        for (int64_t p = 0; p < pixels; p++)
            for (int c = 0; c < channels; c++)
                d_input[(n * pixels + p) * channels + c] +=
                    d_output[(int64_t)n * channels + c] / (real)pixels;
}

/* --- its row in the op table ------------------------------------------------ */

/* Values per channel of one image. */
static int64_t pixels_of(const struct shape *in)
{
    return shape_rows(in) / in->dim[0];
}

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *in = &n->in[0]->shape;
    if (in->rank < 3)
        return refuse(g, n, "input must be [N, H, W, C] or [N, T, C]");
    n->shape = shape_of(2, in->dim[0], shape_last(in));
    return true;
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    const struct shape *in = &n->in[0]->shape;
    REF(global_avg_pool_forward)((int)in->dim[0], pixels_of(in), (int)shape_last(in), a->in[0],
                                 output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    const struct shape *in = &n->in[0]->shape;
    if (a->d_in[0])
        REF(global_avg_pool_backward)((int)in->dim[0], pixels_of(in), (int)shape_last(in),
                                      d_output, a->d_in[0]);
}

static double terms(const struct node *n)
{
    return (double)pixels_of(&n->in[0]->shape);
}

const struct REF(op) REF(global_avg_pool_op) = {
    .name = "global_avg_pool", .inputs = {"input"}, .infer = infer, .forward = forward,
    .backward = backward, .macs = no_macs, .terms = terms,
};
