#include "verify/port/span_replay.h"

#include "verify/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* Indexed by node: what the right reference makes of the port's values, and what it makes of
 * them with one mistake. */
struct span {
    struct port *port;
    const struct node *last;
    const double *mine;
    bool *known, *inside;       /* to be had from MINE or the image; computed from those */
    double **right, **wrong;    /* wrong: only layers behind the mistake */
    double **param;             /* of the graph */
    struct error *e;
};

static void mark(const struct port *p, const struct node *n, bool *known, bool *inside)
{
    if (n->op == OP_input || port_layer(p, n)->state == PORT_FITS) {
        known[n->id] = true;
        return;
    }
    inside[n->id] = true;
    for (int i = 0; i < n->inputs; i++)
        mark(p, n->in[i], known, inside);
}

static double *widened(int64_t count, const float *from)
{
    double *to = malloc((size_t)count * sizeof *to);
    for (int64_t i = 0; to && i < count; i++)
        to[i] = from[i];
    return to;
}

static double *known_value(struct span *s, const struct node *n)
{
    if (port_layer(s->port, n)->state == PORT_FITS)
        return port_read(s->port, n, NULL, s->e);
    return widened(shape_count(&n->shape), port_image(s->port));
}

static bool params_of(struct span *s, const struct node *n)
{
    const struct graph *g = port_graph(s->port);
    for (int i = 0; i < n->params; i++) {
        const int at = n->param[i];
        if (!s->param[at])
            s->param[at] = widened(shape_count(&g->param[at].shape), port_param(s->port, at));
        if (!s->param[at])
            return fail(s->e, EXIT_USAGE, "out of memory for the parameters of %s", n->name);
    }
    return true;
}

/* Node n from wrong values where there are any, under `mistake` (NULL: rightly). */
static bool run(struct span *s, const struct node *n, const struct convention *mistake,
                double **to)
{
    struct ref64_op_args a = {0};
    for (int i = 0; i < n->inputs; i++) {
        const int id = n->in[i]->id;
        a.in[i] = s->wrong[id] ? s->wrong[id] : s->right[id];
    }
    for (int i = 0; i < n->params; i++)
        a.param[i] = s->param[n->param[i]];
    *to = malloc((size_t)shape_count(&n->shape) * sizeof **to);
    if (!*to)
        return fail(s->e, EXIT_USAGE, "out of memory for %s", n->name);
    if (mistake)
        return convention_apply(mistake, NULL, n, &a, *to, s->e);
    ref64_op_row(n->op)->forward(n, &a, *to);
    return true;
}

static bool is_behind(const struct span *s, const struct node *n)
{
    for (int i = 0; i < n->inputs; i++)
        if (s->wrong[n->in[i]->id])
            return true;
    return false;
}

/* The mistake in layer `at`, and everything behind it up to the last. */
static bool try(struct span *s, const struct node *at, const struct convention *mistake,
                struct replay *r)
{
    const struct graph *g = port_graph(s->port);
    const int last = s->last->id;
    bool ok = run(s, at, mistake, &s->wrong[at->id]);
    for (int i = at->id + 1; ok && i <= last; i++)
        if (s->inside[i] && is_behind(s, g->node[i]))
            ok = run(s, g->node[i], NULL, &s->wrong[i]);
    if (ok && s->wrong[last]) {
        const struct metrics m = measure64(shape_count(&s->last->shape), s->mine, s->wrong[last],
                                           NULL, NULL);
        ok = replay_add(r, (struct suspect){mistake, NULL, m.rel_rms, at}, s->e);
    }
    for (int i = at->id; i <= last; i++) {
        free(s->wrong[i]);
        s->wrong[i] = NULL;
    }
    return ok;
}

static bool run_right(struct span *s)
{
    const struct graph *g = port_graph(s->port);
    bool ok = true;
    for (int i = 0; ok && i < s->last->id; i++) {
        const struct node *n = g->node[i];
        if (s->inside[i])
            ok = params_of(s, n) && run(s, n, NULL, &s->right[i]);
        else if (s->known[i])
            ok = (s->right[i] = known_value(s, n)) != NULL;
    }
    return ok && params_of(s, s->last);
}

static bool try_all(struct span *s, struct replay *r)
{
    const struct graph *g = port_graph(s->port);
    bool ok = true;
    for (int i = 0; ok && i < s->last->id; i++)
        for (int k = 0; ok && s->inside[i] && k < MISTAKES; k++)
            if (convention_applies(convention_at(k), g->node[i]))
                ok = try(s, g->node[i], convention_at(k), r);
    return ok;
}

bool span_replay(struct port *p, const struct node *n, const double *mine, double limit,
                 struct replay *r, struct error *e)
{
    const struct graph *g = port_graph(p);
    const size_t nodes = (size_t)g->nodes;
    struct span s = {
        .port = p, .last = n, .mine = mine, .e = e,
        .known = calloc(nodes, sizeof *s.known), .inside = calloc(nodes, sizeof *s.inside),
        .right = calloc(nodes, sizeof *s.right), .wrong = calloc(nodes, sizeof *s.wrong),
        .param = calloc((size_t)g->params + 1, sizeof *s.param),
    };
    bool ok = (s.known && s.inside && s.right && s.wrong && s.param)
           || fail(e, EXIT_USAGE, "out of memory for the layers before %s", n->name);
    for (int i = 0; ok && i < n->inputs; i++)
        mark(p, n->in[i], s.known, s.inside);
    if (ok)
        s.inside[n->id] = true;
    ok = ok && run_right(&s) && try_all(&s, r);
    if (ok)
        replay_rank(r, limit);
    for (size_t i = 0; s.right && i < nodes; i++)
        free(s.right[i]);
    for (int i = 0; s.param && i < g->params; i++)
        free(s.param[i]);
    free(s.known);
    free(s.inside);
    free(s.right);
    free(s.wrong);
    free(s.param);
    return ok;
}

const char *span_text(const struct port *p, const struct node *n, char *text, int size)
{
    int used = 0;
    text[0] = 0;
    for (int i = 0; i < n->inputs; i++) {
        const struct node *in = n->in[i];
        if (in->op == OP_input || in->op == OP_to_nhwc || port_layer(p, in)->state == PORT_FITS)
            continue;
        span_text(p, in, text + used, size - used);
        while (text[used])
            used++;
        used += snprintf(text + used, (size_t)(size - used), "%s%s", used ? ", " : "", in->name);
        if (used >= size)
            break;
    }
    return text;
}
