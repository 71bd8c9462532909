#include "graph.h"
#include "ref.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t shape_count(const struct shape *s)
{
    return shape_rows(s) * shape_last(s);
}

int64_t shape_last(const struct shape *s)
{
    return s->dim[s->rank - 1];
}

int64_t shape_rows(const struct shape *s)
{
    int64_t rows = 1;
    for (int i = 0; i < s->rank - 1; i++)
        rows *= s->dim[i];
    return rows;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

struct shape shape_of(int rank, ...)
{
    struct shape s = {.rank = rank};
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank; i++)
        s.dim[i] = va_arg(args, int64_t);
    va_end(args);
    return s;
}

const char *shape_text(const struct shape *s, char *buffer, int size)
{
    int used = 0;
    buffer[0] = 0;
    for (int i = 0; i < s->rank && used < size; i++)
        used += snprintf(buffer + used, (size_t)(size - used), "%s%lld", i ? "x" : "",
                         (long long)s->dim[i]);
    return buffer;
}

struct graph *graph_new(void)
{
    return calloc(1, sizeof(struct graph));
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->nodes; i++)
        free(g->node[i]);
    free(g->node);
    free(g->param);
    free(g);
}

int graph_enter(struct graph *g, const char *format, ...)
{
    int mark = (int)strlen(g->scope);
    va_list args;
    va_start(args, format);
    vsnprintf(g->scope + mark, sizeof g->scope - (size_t)mark, format, args);
    va_end(args);
    size_t end = strlen(g->scope);
    if (end + 2 > sizeof g->scope)
        fail(&g->error, EXIT_USAGE, "graph: the scope '%s' is too long", g->scope);
    else
        strcpy(g->scope + end, ".");
    return mark;
}

void graph_leave(struct graph *g, int mark)
{
    g->scope[mark] = 0;
}

struct attr attr_default(void)
{
    struct window point = {.kernel = 1, .stride = 1, .pad = 0, .dilation = 1};
    return (struct attr){
        .y = point, .x = point, .groups = 1, .offset_groups = 1, .bias = true,
        .offset_scale = 1.0, .eps = 1e-6,
    };
}

bool refuse(struct graph *g, const struct node *n, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(&g->error, EXIT_USAGE, "%s '%s': %s", ref64_op_row(n->op)->name, n->name, text);
}

/* Grows an array of pointers or structs to hold one more; powers of two. */
static void *grow(void *array, int count, size_t size)
{
    if (count & (count - 1))
        return array;
    return realloc(array, (size_t)(count ? 2 * count : 1) * size);
}

static struct node *node_new(struct graph *g, enum op_kind op, const char *name)
{
    struct node **list = grow(g->node, g->nodes, sizeof *list);
    struct node *n = calloc(1, sizeof *n);
    if (list)
        g->node = list;
    if (!list || !n) {
        free(n);
        fail(&g->error, EXIT_USAGE, "graph: out of memory after %d nodes", g->nodes);
        return NULL;
    }
    n->id = g->nodes;
    n->op = op;
    if (snprintf(n->name, sizeof n->name, "%s%s", g->scope, name) >= (int)sizeof n->name)
        fail(&g->error, EXIT_USAGE, "graph: the name '%s%s' is too long", g->scope, name);
    g->node[g->nodes++] = n;
    return n;
}

struct node *graph_add(struct graph *g, enum op_kind op, const char *name, struct attr attr,
                       struct node *const *inputs, int count)
{
    for (int i = 0; i < count; i++)
        if (!inputs[i])
            return NULL;
    struct node *n = g->error.text[0] ? NULL : node_new(g, op, name);
    if (!n)
        return NULL;
    const struct ref64_op *row = ref64_op_row(op);
    int most = 0;
    while (most < MAX_INPUTS && row->inputs[most])
        most++;
    n->attr = attr;
    n->inputs = count;
    for (int i = 0; i < count && i < MAX_INPUTS; i++)
        n->in[i] = inputs[i];
    if (count > most || count < most - row->optional_inputs)
        refuse(g, n, "takes %d inputs, got %d", most, count);
    else if (!row->infer(g, n))
        refuse(g, n, "cannot be built");
    return g->error.text[0] ? NULL : n;
}

struct node *graph_input(struct graph *g, const char *name, struct shape shape)
{
    struct node *n = g->error.text[0] ? NULL : node_new(g, OP_input, name);
    if (!n)
        return NULL;
    n->shape = shape;
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 1 || shape.dim[i] > INT32_MAX)
            refuse(g, n, "dimension %d is %lld", i, (long long)shape.dim[i]);
    return g->error.text[0] ? NULL : n;
}

bool node_param(struct graph *g, struct node *n, const char *suffix, struct shape shape,
                bool buffer)
{
    struct param *list = grow(g->param, g->params, sizeof *list);
    if (!list)
        return refuse(g, n, "out of memory");
    g->param = list;
    struct param *p = &list[g->params];
    if (snprintf(p->key, sizeof p->key, "%s.%s", n->name, suffix) >= (int)sizeof p->key)
        return refuse(g, n, "the parameter's key is too long");
    p->shape = shape;
    p->buffer = buffer;
    n->param[n->params++] = g->params++;
    return true;
}

void rename_param(struct graph *g, struct node *n, int index, const char *key)
{
    if (!n)
        return;
    struct param *p = &g->param[n->param[index]];
    if (snprintf(p->key, sizeof p->key, "%s%s", g->scope, key) >= (int)sizeof p->key)
        refuse(g, n, "the parameter's key is too long");
}

struct node *graph_find(const struct graph *g, const char *name)
{
    for (int i = 0; i < g->nodes; i++)
        if (!strcmp(g->node[i]->name, name))
            return g->node[i];
    return NULL;
}

int graph_find_param(const struct graph *g, const char *key)
{
    for (int i = 0; i < g->params; i++)
        if (!strcmp(g->param[i].key, key))
            return i;
    return -1;
}

int64_t graph_parameters(const struct graph *g)
{
    int64_t sum = 0;
    for (int i = 0; i < g->params; i++)
        if (!g->param[i].buffer)
            sum += shape_count(&g->param[i].shape);
    return sum;
}

double graph_macs(const struct graph *g)
{
    double sum = 0;
    for (int i = 0; i < g->nodes; i++)
        sum += ref64_op_row(g->node[i]->op)->macs(g->node[i]);
    return sum;
}

int64_t graph_activation_values(const struct graph *g)
{
    int64_t sum = 0;
    for (int i = 0; i < g->nodes; i++)
        sum += shape_count(&g->node[i]->shape);
    return sum;
}
