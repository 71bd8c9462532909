#include "gradient_slips.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum slip { PAIRS, UNSCALED, OFFSET_UNMASKED, INPUT_UNMASKED, WEIGHT_UNMASKED, MASK_TWICE,
            LEFT_HAND, BIAS_MEAN, FIRST_IMAGE, SIGN, NAN_POINTS, TAPS, BORDER_LINE };

const struct gradient_slip gradient_slips[GRADIENT_SLIPS] = {
    [PAIRS] = {"GD01", "offset gradient: x and y exchanged", true, true},
    [UNSCALED] = {"GD02", "offset gradient: not multiplied by the offset scale", false, true},
    [OFFSET_UNMASKED] = {"GD03", "offset gradient: not multiplied by the mask", true, true},
    [INPUT_UNMASKED] = {"GD04", "input gradient: not multiplied by the mask", true, true},
    [WEIGHT_UNMASKED] = {"GD05", "weight gradient: not multiplied by the mask", true, false},
    [MASK_TWICE] = {"GD06", "mask gradient: multiplied by the mask once more", true, true},
    [LEFT_HAND] = {"GD07", "offset gradient: left-hand derivative at integer coordinates", true,
                   true},
    [BIAS_MEAN] = {"GD08", "bias gradient: averaged over the batch", true, false},
    [FIRST_IMAGE] = {"GD09", "input gradient: all images added to the first", true, true},
    [SIGN] = {"GD10", "offset gradient: sign exchanged", true, true},
    [NAN_POINTS] = {"GD11", "mask gradient: NaN for points that are NaN", true, true},
    [TAPS] = {"GD12", "weight gradient: taps transposed", true, false},
    [BORDER_LINE] = {"GD13", "offset gradient: points exactly one pixel outside count as inside", true,
                     true},
};

enum { D_INPUT, D_OFFSET, D_MASK };

/* --- memory and the right gradients -------------------------------------------------------- */

bool node_gradients_new(struct node_gradients *g, const struct node *n, const struct graph *graph,
                        struct error *e)
{
    *g = (struct node_gradients){0};
    for (int i = 0; i < n->inputs + n->params; i++) {
        const int k = i - n->inputs;
        g->count[i] = shape_count(k < 0 ? &n->in[i]->shape : &graph->param[n->param[k]].shape);
        g->d[i] = calloc((size_t)g->count[i], sizeof **g->d);
        if (!g->d[i]) {
            node_gradients_free(g);
            return fail(e, EXIT_USAGE, "out of memory for the gradients of '%s'", n->name);
        }
    }
    return true;
}

void node_gradients_free(struct node_gradients *g)
{
    for (int i = 0; i < GRADIENTS; i++)
        free(g->d[i]);
    *g = (struct node_gradients){0};
}

/* The reference's backward from the given inputs. */
static void backward(const struct node *n, struct ref64_op_args a, const double *d_output,
                     struct node_gradients *g)
{
    for (int i = 0; i < n->inputs + n->params; i++) {
        memset(g->d[i], 0, (size_t)g->count[i] * sizeof **g->d);
        if (i < n->inputs)
            a.d_in[i] = g->d[i];
        else
            a.d_param[i - n->inputs] = g->d[i];
    }
    ref64_op_row(n->op)->backward(n, &a, d_output);
}

/* --- slips that the reference makes from other inputs ---------------------------------------- */

/* As if every mask value were 1; only gradient `which` is kept from it. */
static bool without_mask(int which, const struct node *n, const struct ref64_op_args *a,
                         const double *d_output, struct node_gradients *g,
                         const struct graph *graph, struct error *e)
{
    struct node_gradients other;
    struct ref64_op_args changed = *a;
    double *ones = malloc((size_t)g->count[D_MASK] * sizeof *ones);
    if (!ones || !node_gradients_new(&other, n, graph, e)) {
        free(ones);
        return fail(e, EXIT_USAGE, "out of memory for a mask");
    }
    for (int64_t i = 0; i < g->count[D_MASK]; i++)
        ones[i] = 1;
    changed.in[D_MASK] = ones;
    backward(n, changed, d_output, &other);
    memcpy(g->d[which], other.d[which], (size_t)g->count[which] * sizeof *ones);
    node_gradients_free(&other);
    free(ones);
    return true;
}

/* Coordinates moved by a hair. Smaller, this is the derivative from the left at integers.
 * Larger, points exactly on -1 come inside, and all others keep theirs: torchvision's rule in
 * the backward pass, where its forward pass and mmcv leave them out (pytorch/vision #6885). */
static bool beside(double hair, const struct node *n, const struct ref64_op_args *a,
                   const double *d_output, struct node_gradients *g, const struct graph *graph,
                   struct error *e)
{
    struct node_gradients other;
    struct ref64_op_args changed = *a;
    double *offset = malloc((size_t)g->count[D_OFFSET] * sizeof *offset);
    if (!offset || !node_gradients_new(&other, n, graph, e)) {
        free(offset);
        return fail(e, EXIT_USAGE, "out of memory for offsets");
    }
    for (int64_t i = 0; i < g->count[D_OFFSET]; i++)
        offset[i] = a->in[D_OFFSET][i] + hair;
    changed.in[D_OFFSET] = offset;
    backward(n, changed, d_output, &other);
    memcpy(g->d[D_OFFSET], other.d[D_OFFSET], (size_t)g->count[D_OFFSET] * sizeof *offset);
    node_gradients_free(&other);
    free(offset);
    return true;
}

/* --- slips in the result --------------------------------------------------------------- */

/* Distance between the two coordinates of a pair: neighbours in DCNv3, planes in DCNv2. */
static int64_t pair_distance(const struct node *n)
{
    return n->op == OP_dcnv3 ? 1 : n->shape.dim[2] * n->shape.dim[3];
}

static void exchange_pairs(const struct node *n, struct node_gradients *g)
{
    const int64_t apart = pair_distance(n);
    double *d = g->d[D_OFFSET];
    for (int64_t at = 0; at < g->count[D_OFFSET]; at += 2 * apart)
        for (int64_t i = at; i < at + apart; i++) {
            const double first = d[i];
            d[i] = d[i + apart];
            d[i + apart] = first;
        }
}

static void transpose_taps(const struct node *n, double *weight, int64_t count)
{
    const int rows = n->attr.y.kernel, columns = n->attr.x.kernel, taps = rows * columns;
    double kernel[63 * 63];
    for (int64_t at = 0; at < count; at += taps) {
        memcpy(kernel, weight + at, (size_t)taps * sizeof *kernel);
        for (int k = 0; k < taps; k++)
            weight[at + k] = kernel[k % rows * columns + k / rows];
    }
}

static void nan_points(const struct node *n, const double *offset, struct node_gradients *g)
{
    const int64_t apart = pair_distance(n);
    for (int64_t at = 0; at < g->count[D_OFFSET]; at += 2 * apart)
        for (int64_t i = 0; i < apart; i++)
            if (isnan(offset[at + i]) || isnan(offset[at + apart + i]))
                g->d[D_MASK][at / 2 + i] = NAN;
}

static void add_to_first(const struct node *n, struct node_gradients *g)
{
    const int64_t image = g->count[D_INPUT] / n->in[0]->shape.dim[0];
    double *d = g->d[D_INPUT];
    for (int64_t i = image; i < g->count[D_INPUT]; i++) {
        d[i % image] += d[i];
        d[i] = 0;
    }
}

static void scale(double *d, int64_t count, double by)
{
    for (int64_t i = 0; i < count; i++)
        d[i] *= by;
}

/* --- all of them ----------------------------------------------------------------------------- */

static bool has_nan(const double *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (isnan(v[i]))
            return true;
    return false;
}

static bool can_befall(int index, const struct node *n, const struct ref64_run *run)
{
    const struct gradient_slip *s = &gradient_slips[index];
    const bool masked = n->inputs == 3, many = n->in[0]->shape.dim[0] > 1;
    const struct node *offset = n->in[1];
    if (n->op == OP_dcnv2 ? !s->dcnv2 : !s->dcnv3)
        return false;
    switch ((enum slip)index) {
    case UNSCALED: return n->attr.offset_scale != 1;
    case OFFSET_UNMASKED: case INPUT_UNMASKED: case WEIGHT_UNMASKED: case MASK_TWICE: return masked;
    case BIAS_MEAN: return many && n->params == 2;
    case FIRST_IMAGE: return many;
    case NAN_POINTS: return masked && has_nan(run->value[offset->id], shape_count(&offset->shape));
    case TAPS: return n->attr.y.kernel * n->attr.x.kernel > 1;
    default: return true;
    }
}

bool gradient_slip_apply(int index, const struct node *n, const struct ref64_run *run,
                         const double *d_output, struct node_gradients *g, bool *applies,
                         struct error *e)
{
    const struct ref64_op_args a = ref64_run_args(run, n);
    *applies = index < 0 || can_befall(index, n, run);
    if (!*applies)
        return true;
    backward(n, a, d_output, g);
    if (index < 0)
        return true;
    switch ((enum slip)index) {
    case PAIRS: exchange_pairs(n, g); break;
    case UNSCALED: scale(g->d[D_OFFSET], g->count[D_OFFSET], 1 / n->attr.offset_scale); break;
    case OFFSET_UNMASKED: return without_mask(D_OFFSET, n, &a, d_output, g, run->graph, e);
    case INPUT_UNMASKED: return without_mask(D_INPUT, n, &a, d_output, g, run->graph, e);
    case WEIGHT_UNMASKED: return without_mask(n->inputs, n, &a, d_output, g, run->graph, e);
    case LEFT_HAND: return beside(-1e-9, n, &a, d_output, g, run->graph, e);
    case BORDER_LINE: return beside(1e-9, n, &a, d_output, g, run->graph, e);
    case MASK_TWICE:
        for (int64_t i = 0; i < g->count[D_MASK]; i++)
            g->d[D_MASK][i] *= a.in[D_MASK][i];
        break;
    case BIAS_MEAN:
        scale(g->d[n->inputs + 1], g->count[n->inputs + 1], 1.0 / (double)n->in[0]->shape.dim[0]);
        break;
    case FIRST_IMAGE: add_to_first(n, g); break;
    case SIGN: scale(g->d[D_OFFSET], g->count[D_OFFSET], -1); break;
    case NAN_POINTS: nan_points(n, a.in[D_OFFSET], g); break;
    case TAPS: transpose_taps(n, g->d[n->inputs], g->count[n->inputs]); break;
    }
    return true;
}
