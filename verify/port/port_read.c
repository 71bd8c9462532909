/* Values of MINE in the graph's order, and the inputs a layer saw in the port. */
#include "port_internal.h"

#include "ref/ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 18 };       /* values read at a time when they must be put in order */

/* Position in the node's order of element i of the other order. */
static int64_t turned(const struct node *n, int64_t i)
{
    const int64_t *d = n->shape.dim, image = d[1] * d[2] * d[3];
    const int64_t inner = node_is_nchw(n) ? d[1] : d[1] * d[2];     /* [C,HW] or [HW,C] */
    const int64_t outer = image / inner, at = i % image;
    return i - at + at % inner * outer + at / inner;
}

/* Into the node's order, in pieces. */
static bool read_turned(struct port *p, const struct node *n, double *out, struct error *e)
{
    const int64_t count = shape_count(&n->shape);
    double *piece = malloc(PIECE * sizeof *piece);
    bool ok = piece || fail(e, EXIT_USAGE, "out of memory for a piece of %s", n->name);
    for (int64_t first = 0; ok && first < count; first += PIECE) {
        const int64_t size = count - first < PIECE ? count - first : PIECE;
        ok = tensors_read_f64(p->mine, p->layer[n->id].tensor, first, size, piece, e);
        for (int64_t i = 0; ok && i < size; i++)
            out[turned(n, first + i)] = piece[i];
    }
    free(piece);
    return ok;
}

static double distance(int64_t count, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += isfinite(a[i]) && isfinite(b[i]) ? (a[i] - b[i]) * (a[i] - b[i]) : 0;
    return sum;
}

/* Reads the other order as well and keeps the nearer. */
static bool settle(struct port *p, const struct node *n, const double *like, double **values,
                   struct error *e)
{
    const int64_t count = shape_count(&n->shape);
    struct port_layer *l = &p->layer[n->id];
    double *other = malloc((size_t)count * sizeof *other);
    if (!other || !read_turned(p, n, other, e)) {
        free(other);
        return fail(e, EXIT_USAGE, "out of memory for %s", n->name);
    }
    l->either = false;
    if (distance(count, other, like) < distance(count, *values, like)) {
        l->permuted = true;
        p->counts.permuted++;
        double *plain = *values;
        *values = other;
        other = plain;
    }
    free(other);
    return true;
}

double *port_read(struct port *p, const struct node *n, const double *like, struct error *e)
{
    const struct port_layer *l = &p->layer[n->id];
    const int64_t count = shape_count(&n->shape);
    double *values = malloc((size_t)count * sizeof *values);
    bool ok = values || fail(e, EXIT_USAGE, "out of memory for %s", n->name);
    if (ok && l->permuted)
        ok = read_turned(p, n, values, e);
    else if (ok)
        ok = tensors_read_f64(p->mine, l->tensor, 0, count, values, e);
    if (ok && l->either && like)
        ok = settle(p, n, like, &values, e);
    if (ok)
        return values;
    free(values);
    return NULL;
}

/* --- the inputs of a layer --------------------------------------------------------- */

static double *widened(int64_t count, const float *from)
{
    double *to = malloc((size_t)count * sizeof *to);
    for (int64_t i = 0; to && i < count; i++)
        to[i] = from[i];
    return to;
}

/* ref64 on one node; `value` holds what it takes. */
static double *computed(struct port *p, const struct node *n, double *const *value)
{
    struct ref64_op_args a = {0};
    double *param[MAX_PARAMS] = {0}, *out = NULL;
    bool ok = true;
    if (n->op == OP_input)
        return widened(shape_count(&n->shape), p->start.image);
    for (int i = 0; i < n->inputs; i++)
        a.in[i] = value[n->in[i]->id];
    for (int i = 0; i < n->params; i++) {
        const int at = n->param[i];
        a.param[i] = param[i] = widened(shape_count(&p->start.graph->param[at].shape),
                                        p->start.param[at]);
        ok = ok && param[i];
    }
    if (ok && (out = malloc((size_t)shape_count(&n->shape) * sizeof *out)))
        ref64_op_row(n->op)->forward(n, &a, out);
    for (int i = 0; i < n->params; i++)
        free(param[i]);
    return out;
}

/* Marks what has to be known before node n can be: ancestors up to what MINE holds. */
static void mark(const struct port *p, const struct node *n, bool *needed)
{
    if (needed[n->id])
        return;
    needed[n->id] = true;
    for (int i = 0; p->layer[n->id].state != PORT_FITS && i < n->inputs; i++)
        mark(p, n->in[i], needed);
}

/* All marked values in graph order. */
static bool fill(struct port *p, const bool *needed, double **value, int end, struct error *e)
{
    for (int i = 0; i < end; i++) {
        const struct node *n = p->start.graph->node[i];
        if (!needed[i])
            continue;
        value[i] = p->layer[i].state == PORT_FITS ? port_read(p, n, NULL, e)
                                                  : computed(p, n, value);
        if (!value[i])
            return fail(e, EXIT_USAGE, "out of memory for %s", n->name);
    }
    return true;
}

bool port_inputs_of(struct port *p, const struct node *n, struct port_inputs *in,
                    struct error *e)
{
    const size_t nodes = (size_t)p->start.graph->nodes;
    double **value = calloc(nodes, sizeof *value);
    bool *needed = calloc(nodes, sizeof *needed);
    *in = (struct port_inputs){0};
    bool ok = (value && needed)
           || fail(e, EXIT_USAGE, "out of memory for the inputs of %s", n->name);
    for (int i = 0; ok && i < n->inputs; i++)
        mark(p, n->in[i], needed);
    ok = ok && fill(p, needed, value, n->id, e);
    for (int i = 0; ok && i < n->inputs; i++) {
        const int64_t count = shape_count(&n->in[i]->shape);
        in->found[i] = p->layer[n->in[i]->id].state == PORT_FITS;
        in->in[i] = malloc((size_t)count * sizeof(double));
        ok = in->in[i] || fail(e, EXIT_USAGE, "out of memory for the inputs of %s", n->name);
        if (ok)
            memcpy(in->in[i], value[n->in[i]->id], (size_t)count * sizeof(double));
    }
    for (size_t i = 0; value && i < nodes; i++)
        free(value[i]);
    free(value);
    free(needed);
    if (!ok)
        port_inputs_free(in);
    return ok;
}

void port_inputs_free(struct port_inputs *in)
{
    for (int i = 0; i < MAX_INPUTS; i++)
        free(in->in[i]);
    *in = (struct port_inputs){0};
}
