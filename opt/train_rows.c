/* Norms, activations and what else goes row by row, forward and backward; shared between
 * threads as in train_products.c. */
#include "trainer_internal.h"

#include <string.h>

static void norm_forward(const struct trainer *t, const struct node *n,
                         const struct ref32_op_args *a, float *y)
{
    const int c = (int)shape_last(&n->shape);
    SHARED(t, shape_rows(&n->shape),
           narrow_or(t, c)->layer_norm((int)(part.last - part.first), c, (float)n->attr.eps,
                                  a->in[0] + part.first * c, c, a->param[0], a->param[1], false,
                                  NULL, 0, y + part.first * c, c));
}

static void norm_backward(const struct trainer *t, const struct node *n,
                          const struct ref32_op_args *a, const float *d_y)
{
    const int c = (int)shape_last(&n->shape);
    float *d_weight = t->scratch, *d_bias = d_weight + (size_t)t->threads * c;
    memset(t->scratch, 0, 2 * (size_t)t->threads * c * sizeof(float));
    SHARED(t, shape_rows(&n->shape),
           narrow_or(t, c)->layer_norm_backward((int)(part.last - part.first), c, (float)n->attr.eps,
                                           a->in[0] + part.first * c, a->param[0],
                                           d_y + part.first * c, a->d_in[0] + part.first * c,
                                           d_weight + (size_t)thread * c,
                                           d_bias + (size_t)thread * c));
    add_partial(t, d_weight, (size_t)c, a->d_param[0]);
    add_partial(t, d_bias, (size_t)c, a->d_param[1]);
}

const struct fast_op layer_norm_fast = {norm_forward, norm_backward, row_scratch, NULL, false};

static void scale_forward(const struct trainer *t, const struct node *n,
                          const struct ref32_op_args *a, float *y)
{
    const int c = (int)shape_last(&n->shape);
    SHARED(t, shape_rows(&n->shape),
           t->kernels->scale_rows(part.last - part.first, c, a->in[0] + part.first * c,
                                  a->param[0], y + part.first * c));
}

static void scale_backward(const struct trainer *t, const struct node *n,
                           const struct ref32_op_args *a, const float *d_y)
{
    const int c = (int)shape_last(&n->shape);
    memset(t->scratch, 0, (size_t)t->threads * c * sizeof(float));
    SHARED(t, shape_rows(&n->shape),
           t->kernels->scale_rows_backward(part.last - part.first, c, a->in[0] + part.first * c,
                                           a->param[0], d_y + part.first * c,
                                           a->d_in[0] + part.first * c,
                                           t->scratch + (size_t)thread * c));
    add_partial(t, t->scratch, (size_t)c, a->d_param[0]);
}

const struct fast_op layer_scale_fast = {scale_forward, scale_backward, row_scratch, NULL, false};

static void gelu_forward(const struct trainer *t, const struct node *n,
                         const struct ref32_op_args *a, float *y)
{
    SHARED(t, shape_count(&n->shape),
           t->kernels->gelu(part.last - part.first, a->in[0] + part.first, y + part.first));
}

static void gelu_backward(const struct trainer *t, const struct node *n,
                          const struct ref32_op_args *a, const float *d_y)
{
    SHARED(t, shape_count(&n->shape),
           t->kernels->gelu_backward(part.last - part.first, a->in[0] + part.first,
                                     d_y + part.first, a->d_in[0] + part.first));
}

const struct fast_op gelu_fast = {gelu_forward, gelu_backward, NULL, NULL, false};

static void softmax_forward(const struct trainer *t, const struct node *n,
                            const struct ref32_op_args *a, float *y)
{
    const int points = n->attr.points;
    SHARED(t, shape_count(&n->shape) / points,
           t->kernels->softmax(part.last - part.first, points, a->in[0] + part.first * points,
                               y + part.first * points));
}

static void softmax_backward(const struct trainer *t, const struct node *n,
                             const struct ref32_op_args *a, const float *d_y)
{
    const int points = n->attr.points;
    SHARED(t, shape_count(&n->shape) / points,
           t->kernels->softmax_backward(part.last - part.first, points,
                                        a->out + part.first * points, d_y + part.first * points,
                                        a->d_in[0] + part.first * points));
}

const struct fast_op softmax_fast = {softmax_forward, softmax_backward, NULL, NULL, false};

static void add_forward(const struct trainer *t, const struct node *n,
                        const struct ref32_op_args *a, float *y)
{
    SHARED(t, shape_count(&n->shape),
           t->kernels->add(part.last - part.first, a->in[0] + part.first, a->in[1] + part.first,
                           y + part.first));
}

static void add_backward(const struct trainer *t, const struct node *n,
                         const struct ref32_op_args *a, const float *d_y)
{
    SHARED(t, shape_count(&n->shape), {
        t->kernels->add_to(part.last - part.first, d_y + part.first, a->d_in[0] + part.first);
        t->kernels->add_to(part.last - part.first, d_y + part.first, a->d_in[1] + part.first);
    });
}

const struct fast_op add_fast = {add_forward, add_backward, NULL, NULL, false};

/* --- drop path: whole samples --------------------------------------------------------------- */

static void drop_path_forward(const struct trainer *t, const struct node *n,
                              const struct ref32_op_args *a, float *y)
{
    const int64_t size = shape_count(&n->shape) / n->shape.dim[0];
    memset(y, 0, (size_t)shape_count(&n->shape) * sizeof *y);
    SHARED(t, n->shape.dim[0], {
        for (int64_t i = part.first; i < part.last; i++)
            t->kernels->add_scaled(size, a->in[1][i], a->in[0] + i * size, y + i * size);
    });
}

static void drop_path_backward(const struct trainer *t, const struct node *n,
                               const struct ref32_op_args *a, const float *d_y)
{
    const int64_t size = shape_count(&n->shape) / n->shape.dim[0];
    if (a->d_in[1]) {                   /* nobody trains the scale */
        ref32_drop_path_backward(n->shape.dim[0], size, a->in[0], a->in[1], d_y, a->d_in[0],
                                 a->d_in[1]);
        return;
    }
    SHARED(t, n->shape.dim[0], {
        for (int64_t i = part.first; i < part.last; i++)
            t->kernels->add_scaled(size, a->in[1][i], d_y + i * size, a->d_in[0] + i * size);
    });
}

const struct fast_op drop_path_fast = {drop_path_forward, drop_path_backward, NULL, NULL, true};

/* --- channels last: the images, whose gradient is seldom wanted --------------------------------- */

static void to_nhwc_forward(const struct trainer *t, const struct node *n,
                            const struct ref32_op_args *a, float *y)
{
    const int64_t channels = shape_last(&n->shape), pixels = n->shape.dim[1] * n->shape.dim[2];
    SHARED(t, n->shape.dim[0], {
        const int64_t at = part.first * pixels * channels;
        ref32_transpose((int)(part.last - part.first), channels, pixels, a->in[0] + at, y + at);
    });
}

static void to_nhwc_backward(const struct trainer *t, const struct node *n,
                             const struct ref32_op_args *a, const float *d_y)
{
    (void)t;
    ref32_op_row(n->op)->backward(n, a, d_y);
}

const struct fast_op to_nhwc_fast = {to_nhwc_forward, to_nhwc_backward, NULL, NULL, true};
