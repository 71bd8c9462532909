#include "dcn_case.h"

#include "ref/weights.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 1 };

static int or_one(int n)
{
    return n ? n : 1;
}

static struct window full(struct window w)
{
    return (struct window){w.kernel, or_one(w.stride), w.pad, or_one(w.dilation)};
}

/* --- the name -------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4)))
static void append(char *name, size_t size, const char *format, ...)
{
    const size_t used = strlen(name);
    va_list args;
    va_start(args, format);
    vsnprintf(name + used, size - used, format, args);
    va_end(args);
}

static void append_pair(char *name, size_t size, char letter, int a, int b, int usual)
{
    if (a != usual || b != usual)
        append(name, size, "%c%dx%d", letter, a, b);
}

static void append_dcnv2(const struct dcn_case *c, char *name, size_t size)
{
    if (c->groups > 1)
        append(name, size, "g%d", c->groups);
    if (c->offset_groups > 1)
        append(name, size, "og%d", c->offset_groups);
    append(name, size, "%s%s", c->no_mask ? "-nomask" : "", c->no_bias ? "-nobias" : "");
}

void dcn_case_name(const struct dcn_case *c, char *name, size_t size)
{
    static const char *const kind[] = {"", "-integer", "-half", "-zero", "-far"};
    const struct window y = full(c->y), x = full(c->x);
    const bool v3 = c->op == OP_dcnv3;
    snprintf(name, size, "%s n%dh%dw%d%c%d%c%dk%dx%d", v3 ? "dcnv3" : "dcnv2", c->batch, c->height,
             c->width, v3 ? 'g' : 'i', v3 ? c->groups : c->in_channels, v3 ? 'c' : 'o',
             v3 ? c->group_channels : c->out_channels, y.kernel, x.kernel);
    append_pair(name, size, 's', y.stride, x.stride, 1);
    append_pair(name, size, 'p', y.pad, x.pad, 0);
    append_pair(name, size, 'd', y.dilation, x.dilation, 1);
    if (!v3)
        append_dcnv2(c, name, size);
    if (c->offset_scale && c->offset_scale != 1)
        append(name, size, "o%g", c->offset_scale);
    append(name, size, "%s%s", c->remove_center ? "rc" : "", kind[c->offsets]);
    if (c->spread && c->spread != 3)
        append(name, size, "-spread%g", c->spread);
}

/* --- the values ------------------------------------------------------------------- */

static void place_offsets(const struct dcn_case *c, const char *name, int64_t count, float *v)
{
    static const float far[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 3e9f};
    char stream[200];
    snprintf(stream, sizeof stream, "%s/special", name);
    for (int64_t i = 0; i < count; i++) {
        const uint64_t pick = seeded_hash(stream, (uint64_t)i, SEED);
        v[i] *= c->spread ? (float)c->spread : 3;
        if (c->offsets == OFFSETS_INTEGER)
            v[i] = rintf(v[i]);
        else if (c->offsets == OFFSETS_HALF)
            v[i] = floorf(v[i]) + 0.5f;
        else if (c->offsets == OFFSETS_ZERO)
            v[i] = 0;
        else if (c->offsets == OFFSETS_FAR && pick % 7 == 0)
            v[i] = far[(pick >> 8) % 6];
    }
}

/* DCNv3's modulation: a softmax over the points of each group, computed in double. */
static void softmax_points(int points, int64_t count, float *v)
{
    for (int64_t set = 0; set + points <= count; set += points) {
        double sum = 0;
        for (int p = 0; p < points; p++)
            sum += exp(2.0 * v[set + p]);
        for (int p = 0; p < points; p++)
            v[set + p] = (float)(exp(2.0 * v[set + p]) / sum);
    }
}

static float *values(const struct dcn_case *c, const char *name, const char *tensor, int64_t count,
                     struct error *e)
{
    char stream[200];
    float *v = malloc((size_t)count * sizeof *v);
    if (!v) {
        fail(e, EXIT_USAGE, "out of memory for %s of %s", tensor, name);
        return NULL;
    }
    snprintf(stream, sizeof stream, "%s/%s", name, tensor);
    seeded_uniform(stream, SEED, count, v);
    if (!strcmp(tensor, "offset"))
        place_offsets(c, name, count, v);
    else if (!strcmp(tensor, "mask") && c->op == OP_dcnv3)
        softmax_points(c->y.kernel * c->x.kernel - c->remove_center, count, v);
    else if (!strcmp(tensor, "mask") || !strcmp(tensor, "input"))
        for (int64_t i = 0; i < count; i++)
            v[i] = tensor[0] == 'm' ? 0.5f + 0.5f * v[i] : 2 * v[i];
    return v;
}

static bool set_values(const struct dcn_case *c, const char *name, struct pair *p, struct error *e)
{
    const struct graph *g = p->graph;
    for (int i = 0; i < g->nodes - 1 + g->params; i++) {
        const int k = i - (g->nodes - 1);
        const struct shape *shape = k < 0 ? &g->node[i]->shape : &g->param[k].shape;
        const char *tensor = k < 0 ? g->node[i]->name : g->param[k].key + strlen("op.");
        float *v = values(c, name, tensor, shape_count(shape), e);
        if (!v)
            return false;
        if (k < 0)
            pair_set_value(p, g->node[i], v);
        else
            pair_set_param(p, k, v);
        free(v);
    }
    return true;
}

/* --- the graph --------------------------------------------------------------------- */

static struct graph *build(const struct dcn_case *c)
{
    struct graph *g = graph_new();
    struct attr a = attr_default();
    const bool v3 = c->op == OP_dcnv3;
    const int64_t n = c->batch, h = c->height, w = c->width;
    a.y = full(c->y);
    a.x = full(c->x);
    a.groups = or_one(c->groups);
    a.offset_groups = or_one(c->offset_groups);
    a.out_channels = c->out_channels;
    a.bias = !c->no_bias;
    a.remove_center = c->remove_center;
    a.offset_scale = c->offset_scale ? c->offset_scale : 1;
    const int64_t ho = window_positions(c->height, a.y), wo = window_positions(c->width, a.x);
    const int64_t taps = (int64_t)a.y.kernel * a.x.kernel - c->remove_center;
    const int64_t sets = taps * (v3 ? a.groups : a.offset_groups);
    if (!g || ho < 1 || wo < 1)
        return g;
    struct node *in[] = {
        graph_input(g, "input", v3 ? shape_of(4, n, h, w, (int64_t)a.groups * c->group_channels)
                                   : shape_of(4, n, (int64_t)c->in_channels, h, w)),
        graph_input(g, "offset", v3 ? shape_of(4, n, ho, wo, 2 * sets)
                                    : shape_of(4, n, 2 * sets, ho, wo)),
        c->no_mask ? NULL : graph_input(g, "mask", v3 ? shape_of(4, n, ho, wo, sets)
                                                      : shape_of(4, n, sets, ho, wo)),
    };
    graph_add(g, c->op, "op", a, in, c->no_mask ? 2 : 3);
    return g;
}

bool dcn_case_new(const struct dcn_case *c, struct pair *p, struct error *e)
{
    char name[160];
    struct graph *g = build(c);
    dcn_case_name(c, name, sizeof name);
    *p = (struct pair){0};
    if (!g || g->nodes == 0 || g->node[g->nodes - 1]->op != c->op) {
        fail(e, EXIT_USAGE, "%s: %s", name, !g ? "out of memory" : g->error.text[0]
             ? g->error.text : "the window does not fit");
        graph_free(g);
        return false;
    }
    if (!pair_new(p, g, e))
        return false;
    if (set_values(c, name, p, e))
        return true;
    pair_free(p);
    return false;
}

float *dcn_case_d_output(const struct dcn_case *c, const struct pair *p, struct error *e)
{
    char name[160];
    dcn_case_name(c, name, sizeof name);
    return values(c, name, "grad_output",
                  shape_count(&p->graph->node[p->graph->nodes - 1]->shape), e);
}
