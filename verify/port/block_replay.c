#include "verify/port/block_replay.h"

#include "verify/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool block_mistake(const struct convention *c, const struct internimage_config *right,
                   struct internimage_config *wrong)
{
    *wrong = *right;
    switch (c->id) {
    case NO01:
        wrong->post_norm = true;
        return !right->post_norm && !right->res_post_norm;
    case NO02:
        wrong->post_norm = false;
        return right->post_norm;
    case NO03:
        wrong->res_post_norm = false;
        return right->res_post_norm && !right->layer_scale;
    default:
        return false;
    }
}

/* The wrong graph while one block of it runs: value[i] of the block's nodes, and of what the
 * block reads. */
struct rerun {
    struct port *port;
    const struct graph *graph;
    double **value;
    char block[NAME_SIZE];      /* "levels.0.blocks.3" */
    double largest;             /* error so far */
    int compared;
    struct error *e;
};

static bool block_name(const struct node *n, char *block, size_t size)
{
    int level, index, used = 0;
    if (sscanf(n->name, "levels.%d.blocks.%d%n", &level, &index, &used) != 2
        || (n->name[used] && n->name[used] != '.'))
        return false;
    snprintf(block, size, "%.*s", used, n->name);
    return true;
}

static bool in_block(const struct rerun *r, const struct node *n)
{
    const size_t length = strlen(r->block);
    return !strncmp(n->name, r->block, length) && (!n->name[length] || n->name[length] == '.');
}

/* What the port has of a node of that name; *fits says whether it has it. */
static double *port_value(struct rerun *r, const struct node *n, bool *fits)
{
    const struct node *mine = graph_find(port_graph(r->port), n->name);
    *fits = mine && port_layer(r->port, mine)->state == PORT_FITS;
    return *fits ? port_read(r->port, mine, NULL, r->e) : NULL;
}

/* The block's input: what its first residual adds, as the port has it or computes it. */
static double *block_input(struct rerun *r)
{
    char name[NAME_SIZE + 16];
    struct port_inputs in = {0};
    snprintf(name, sizeof name, "%s.residual1", r->block);
    const struct node *add = graph_find(port_graph(r->port), name);
    if (!add || !port_inputs_of(r->port, add, &in, r->e))
        return NULL;
    double *x = in.in[0];
    in.in[0] = NULL;
    port_inputs_free(&in);
    return x;
}

/* Parameters of a node as double; false when the model has none of that name. */
static bool params_of(struct rerun *r, const struct node *n, double **param)
{
    for (int i = 0; i < n->params; i++) {
        const struct param *p = &r->graph->param[n->param[i]];
        const int64_t count = shape_count(&p->shape);
        int index = graph_find_param(port_graph(r->port), p->key);
        if (index < 0)
            return false;
        param[i] = malloc((size_t)count * sizeof **param);
        if (!param[i])
            return fail(r->e, EXIT_USAGE, "out of memory for %s", p->key);
        for (int64_t k = 0; k < count; k++)
            param[i][k] = port_param(r->port, index)[k];
    }
    return true;
}

/* Computes one node from values the port has, measures it, and lets the next ones go on from
 * the port's. False: it cannot be run. */
static bool step(struct rerun *r, const struct node *n)
{
    double *param[MAX_PARAMS] = {0};
    struct ref64_op_args a = {0};
    const int64_t count = shape_count(&n->shape);
    bool ok = params_of(r, n, param), fits = false;
    r->value[n->id] = ok ? malloc((size_t)count * sizeof(double)) : NULL;
    for (int i = 0; i < n->inputs; i++)
        ok = (a.in[i] = r->value[n->in[i]->id]) && ok;
    for (int i = 0; i < n->params; i++)
        a.param[i] = param[i];
    if (ok && r->value[n->id]) {
        ref64_op_row(n->op)->forward(n, &a, r->value[n->id]);
        double *mine = port_value(r, n, &fits);
        if (mine) {
            struct metrics m = measure64(count, mine, r->value[n->id], NULL, NULL);
            r->largest = fmax(r->largest, m.rel_rms);
            r->compared++;
            free(r->value[n->id]);
            r->value[n->id] = mine;
        }
        ok = !fits || mine;
    }
    for (int i = 0; i < n->params; i++)
        free(param[i]);
    return ok && r->value[n->id];
}

/* Runs the block; its largest error in r->largest, INFINITY when it cannot be run. */
static void run_block(struct rerun *r)
{
    const struct node *outside = NULL;
    bool ok = true;
    for (int i = 0; ok && i < r->graph->nodes; i++) {
        const struct node *n = r->graph->node[i];
        if (!in_block(r, n))
            continue;
        for (int k = 0; k < n->inputs; k++)
            if (!in_block(r, n->in[k]) && !outside) {
                outside = n->in[k];
                ok = (r->value[outside->id] = block_input(r)) != NULL;
            }
        ok = ok && step(r, n);
    }
    if (!ok || !r->compared)
        r->largest = INFINITY;
}

static bool try_mistake(struct port *p, const struct convention *c, const struct node *n,
                        double *error, struct error *e)
{
    struct internimage_config wrong;
    const struct shape *image = &port_graph(p)->node[0]->shape;
    struct rerun r = {.port = p, .e = e};
    *error = INFINITY;
    if (!block_name(n, r.block, sizeof r.block) || !block_mistake(c, port_config(p), &wrong))
        return true;
    struct graph *g = internimage_graph(&wrong, (int)image->dim[0], (int)image->dim[2],
                                        (int)image->dim[3], e);
    r.graph = g;
    r.value = g ? calloc((size_t)g->nodes, sizeof *r.value) : NULL;
    if (r.value) {
        run_block(&r);
        *error = r.largest;
    }
    for (int i = 0; r.value && i < g->nodes; i++)
        free(r.value[i]);
    free(r.value);
    graph_free(g);
    return !e->text[0];
}

bool block_replay(struct port *p, const struct node *n, double limit,
                  const struct convention **found, double *error, struct error *e)
{
    *found = NULL;
    *error = INFINITY;
    for (int i = 0; i < MISTAKES; i++) {
        const struct convention *c = convention_at(i);
        double under;
        if (c->aspect != NORM_PLACE)
            continue;
        if (!try_mistake(p, c, n, &under, e))
            return false;
        if (under <= limit && under < *error) {
            *found = c;
            *error = under;
        }
    }
    return true;
}
