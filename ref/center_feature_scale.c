/* Center feature scale (InternImage-H and G): each group decides per pixel how
 * much of the projected input it keeps instead of the sampled value,
 *
 *   y = core (1 - a) + value a,      a per pixel and group, already a sigmoid */
#include "row.h"

void REF(center_feature_scale_forward)(int64_t rows, int groups, int group_channels,
                                       const real *core, const real *value, const real *scale,
                                       real *output)
{
    for (int64_t i = 0; i < rows * groups; i++)
        for (int c = 0; c < group_channels; c++) {
            int64_t k = i * group_channels + c;
            output[k] = core[k] * (1 - scale[i]) + value[k] * scale[i];
        }
}

void REF(center_feature_scale_backward)(int64_t rows, int groups, int group_channels,
                                        const real *core, const real *value, const real *scale,
                                        const real *d_output, real *d_core, real *d_value,
                                        real *d_scale)
{
    for (int64_t i = 0; i < rows * groups; i++) {
        for (int c = 0; c < group_channels; c++) {
            int64_t k = i * group_channels + c;
            if (d_core)
                d_core[k] += d_output[k] * (1 - scale[i]);
            if (d_value)
                d_value[k] += d_output[k] * scale[i];
            if (d_scale)
                d_scale[i] += d_output[k] * (value[k] - core[k]);
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static bool infer(struct graph *g, struct node *n)
{
    struct shape scale = n->in[0]->shape;
    if (!check_groups(g, n, shape_last(&scale)) || !check_shape(g, n, 1, &scale))
        return false;
    scale.dim[scale.rank - 1] = n->attr.groups;
    return check_shape(g, n, 2, &scale) && infer_same(g, n);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    const int groups = n->attr.groups, channels = (int)shape_last(&n->shape);
    REF(center_feature_scale_forward)(shape_rows(&n->shape), groups, channels / groups, a->in[0],
                                      a->in[1], a->in[2], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    const int groups = n->attr.groups, channels = (int)shape_last(&n->shape);
    REF(center_feature_scale_backward)(shape_rows(&n->shape), groups, channels / groups,
                                       a->in[0], a->in[1], a->in[2], d_output, a->d_in[0],
                                       a->d_in[1], a->d_in[2]);
}

const struct REF(op) REF(center_feature_scale_op) = {
    .name = "center_feature_scale", .inputs = {"core", "value", "scale"}, .infer = infer,
    .forward = forward, .backward = backward, .macs = no_macs, .terms = one_term,
};
