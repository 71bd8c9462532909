/* Opening GOLDEN and MINE, and finding out which tensor is which node. */
#include "match.h"
#include "port_internal.h"

#include "datasets/h5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- MINE -------------------------------------------------------------------------- */

/* What dump.py wrote about a tensor; without it both orders stay possible. */
static void use_layout_attribute(struct port *p, struct port_layer *l, const struct node *n,
                                 const char *name)
{
    struct h5_file *f = tensors_h5(p->mine);
    char layout[16], nested[TENSOR_NAME_SIZE];
    snprintf(nested, sizeof nested, "%s", name);
    for (int groups = 0; f && l->either && groups < 2; groups++) {
        if (h5_has_attr(f, nested, "layout")
            && h5_attr_string(f, nested, "layout", layout, sizeof layout, NULL)
            && strcmp(layout, "flat")) {
            l->permuted = !strcmp(layout, "NCHW") != node_is_nchw(n);
            l->either = false;
        }
        char *dot = strchr(nested, '.');        /* "float32.a.b" is a.b in group float32 */
        if (!dot)
            return;
        *dot = '/';
    }
}

static void take_tensor(struct port *p, const struct node *n, int tensor, int steps)
{
    struct port_layer *l = &p->layer[n->id];
    p->known[tensor] = true;
    if (l->tensor >= 0)
        p->counts.spare++;
    if (l->tensor >= 0 && p->steps[n->id] <= steps)
        return;
    const struct tensor_info *t = tensors_info(p->mine, tensor);
    *l = match_shape(n, t);
    l->tensor = tensor;
    p->steps[n->id] = steps;
    use_layout_attribute(p, l, n, t->name);
}

static const struct node *node_called(const struct port *p, const char *name)
{
    const struct graph *g = p->start.graph;
    return strcmp(name, "output") ? graph_find(g, name) : g->node[g->nodes - 1];
}

static void match_all(struct port *p, const char *prefix)
{
    for (int i = 0; i < tensors_count(p->mine); i++) {
        char name[TENSOR_NAME_SIZE];
        int steps = match_name(tensors_info(p->mine, i)->name, prefix, name, sizeof name);
        const struct node *n = node_called(p, name);
        if (n)
            take_tensor(p, n, i, steps + (strcmp(name, n->name) != 0));
    }
}

static char *trimmed(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    for (size_t end = strlen(s); end && strchr(" \t\r\n", s[end - 1]); end--)
        s[end - 1] = 0;
    return s;
}

static bool map_line(struct port *p, const char *path, int number, char *line, int *named,
                     struct error *e)
{
    char *equals = strchr(line, '=');
    line[strcspn(line, "#")] = 0;
    if (!*trimmed(line))
        return true;
    if (!equals || !*equals)
        return fail(e, EXIT_BAD_FILE, "%s: line %d is not 'graph_name = their_name'", path, number);
    *equals = 0;
    const char *ours = trimmed(line), *theirs = trimmed(equals + 1);
    const struct node *n = graph_find(p->start.graph, ours);
    int tensor = tensors_find(p->mine, theirs);
    if (!n)
        return fail(e, EXIT_BAD_FILE, "%s: line %d: the model has no layer '%s'", path, number,
                    ours);
    if (tensor < 0)
        return fail(e, EXIT_BAD_FILE, "%s: line %d: %s holds no tensor '%s'", path, number,
                    p->mine_path, theirs);
    take_tensor(p, n, tensor, -1);
    ++*named;
    return true;
}

static bool read_map(struct port *p, const char *path, struct error *e)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    int named = 0;
    bool ok = f || fail(e, EXIT_BAD_FILE, "%s: %s", path, strerror(errno));
    for (int number = 1; ok && fgets(line, sizeof line, f); number++)
        ok = map_line(p, path, number, line, &named, e);
    if (ok && ferror(f))
        ok = fail(e, EXIT_BAD_FILE, "%s: %s", path, strerror(errno));
    if (ok && !named)
        ok = fail(e, EXIT_BAD_FILE, "%s: there is no line 'graph_name = their_name' in it", path);
    if (f)
        fclose(f);
    return ok;
}

static bool count_matches(struct port *p, struct error *e)
{
    struct port_counts *c = &p->counts;
    const struct graph *g = p->start.graph;
    c->unknown_first = -1;
    for (int i = tensors_count(p->mine) - 1; i >= 0; i--)
        if (!p->known[i]) {
            c->unknown++;
            c->unknown_first = i;
        }
    for (int i = 0; i < g->nodes; i++) {
        const struct port_layer *l = &p->layer[i];
        const bool needed = g->node[i]->op != OP_input && g->node[i]->op != OP_to_nhwc;
        c->layers += needed;
        c->fits += l->state == PORT_FITS && needed;
        c->wrong_shape += l->state == PORT_WRONG_SHAPE;
        c->sampled += l->state == PORT_SAMPLED;
        c->absent += l->state == PORT_ABSENT && needed;
        c->permuted += l->state == PORT_FITS && l->permuted;
    }
    if (c->fits || c->wrong_shape)
        return true;
    if (c->sampled)
        return fail(e, EXIT_INCONCLUSIVE, "%s holds only samples of its tensors; dump it without "
                    "--limit", p->mine_path);
    if (!tensors_count(p->mine))
        return fail(e, EXIT_INCONCLUSIVE, "%s: there is no tensor in it", p->mine_path);
    return fail(e, EXIT_INCONCLUSIVE, "%s: none of its %d tensors has the name of a layer: it has "
                "'%s', the model for example '%s'; --map FILE gives other names", p->mine_path,
                tensors_count(p->mine), c->unknown_first < 0 ? ""
                : tensors_info(p->mine, c->unknown_first)->name, g->node[g->nodes / 2]->name);
}

static bool read_mine(struct port *p, struct port_options o, struct error *e)
{
    p->layer = calloc((size_t)p->start.graph->nodes, sizeof *p->layer);
    p->steps = calloc((size_t)p->start.graph->nodes, sizeof *p->steps);
    if (!p->layer || !p->steps)
        return fail(e, EXIT_USAGE, "out of memory for %d layers", p->start.graph->nodes);
    for (int i = 0; i < p->start.graph->nodes; i++)
        p->layer[i].tensor = -1;
    p->mine = tensors_open(p->mine_path, e);
    if (!p->mine)
        return false;
    p->known = calloc((size_t)tensors_count(p->mine) + 1, sizeof *p->known);
    if (!p->known)
        return fail(e, EXIT_USAGE, "out of memory for %d tensors", tensors_count(p->mine));
    match_all(p, o.prefix);
    return (!o.map || read_map(p, o.map, e)) && count_matches(p, e);
}

/* --- from outside ------------------------------------------------------------------ */

struct port *port_open(const char *golden, const char *mine, struct port_options o,
                       struct error *e)
{
    struct port *p = calloc(1, sizeof *p);
    if (!p) {
        fail(e, EXIT_USAGE, "out of memory");
        return NULL;
    }
    snprintf(p->mine_path, sizeof p->mine_path, "%s", mine);
    if (golden_start(golden, &p->start, e) && read_mine(p, o, e))
        return p;
    port_close(p);
    return NULL;
}

void port_close(struct port *p)
{
    if (!p)
        return;
    tensors_close(p->mine);
    golden_start_free(&p->start);
    free(p->layer);
    free(p->steps);
    free(p->known);
    free(p);
}

const struct graph *port_graph(const struct port *p) { return p->start.graph; }
const struct internimage_config *port_config(const struct port *p) { return &p->start.config; }
const char *port_model(const struct port *p) { return p->start.model; }
const char *port_format(const struct port *p) { return tensors_format(p->mine); }
struct port_counts port_counts(const struct port *p) { return p->counts; }
struct tensor_file *port_file(const struct port *p) { return p->mine; }
const float *port_param(const struct port *p, int index) { return p->start.param[index]; }
float *const *port_params(const struct port *p) { return p->start.param; }
const float *port_image(const struct port *p) { return p->start.image; }

const struct port_layer *port_layer(const struct port *p, const struct node *n)
{
    return &p->layer[n->id];
}

const struct tensor_info *port_tensor(const struct port *p, const struct node *n)
{
    return p->layer[n->id].tensor < 0 ? NULL : tensors_info(p->mine, p->layer[n->id].tensor);
}
