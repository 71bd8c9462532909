#include "compare.h"
#include "lanes.h"
#include "parallel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
    struct port *port;
    struct lanes lanes;
    enum number type;
    struct comparison *result;
};

/* --- the picture of the first divergent layer --------------------------------------- */

/* Channel, row and column steps of the node's order. */
static void strides(const struct node *n, int64_t *height, int64_t *width, int64_t *channels,
                    int64_t *pixel, int64_t *channel)
{
    const int64_t *d = n->shape.dim;
    const bool nchw = node_is_nchw(n);
    *height = d[nchw ? 2 : 1];
    *width = d[nchw ? 3 : 2];
    *channels = d[nchw ? 1 : 3];
    *pixel = nchw ? 1 : *channels;
    *channel = nchw ? *height * *width : 1;
}

static void draw_map(struct error_picture *pic, const struct node *n, const double *x,
                     const double *truth)
{
    int64_t height, width, channels, pixel, channel;
    double sum[2] = {0};        /* squares: interior, border */
    int64_t pixels[2] = {0};
    strides(n, &height, &width, &channels, &pixel, &channel);
    pic->map = calloc((size_t)(height * width), sizeof *pic->map);
    if (!pic->map)
        return;
    pic->height = (int)height;
    pic->width = (int)width;
    for (int64_t i = 0; i < height * width; i++) {
        const int64_t y = i / width, column = i % width;
        const bool border = y == 0 || column == 0 || y == height - 1 || column == width - 1;
        double square = 0;
        for (int64_t b = 0; b < n->shape.dim[0]; b++)
            for (int64_t c = 0; c < channels; c++) {
                const int64_t at = b * height * width * channels + i * pixel + c * channel;
                const double off = x[at] - truth[at];
                square += isfinite(off) ? off * off : 0;
            }
        square /= (double)(n->shape.dim[0] * channels);
        pic->map[i] = sqrt(square);
        sum[border] += square;
        pixels[border]++;
    }
    pic->border = pixels[1] ? sqrt(sum[1] / (double)pixels[1]) : 0;
    pic->interior = pixels[0] ? sqrt(sum[0] / (double)pixels[0]) : 0;
}

static void draw_bins(struct error_picture *pic, int64_t count, const double *x,
                      const double *truth, double rms)
{
    for (int64_t i = 0; i < count; i++) {
        const double off = fabs(x[i] - truth[i]) / (rms > 0 ? rms : 1);
        if (!isfinite(off))
            continue;
        const double at = off > 0 ? floor(5 * log10(off)) - PICTURE_BINS_FIRST : 0;
        pic->bin[(int)fmin(fmax(at, 0), PICTURE_BINS - 1)]++;
    }
}

static void draw(struct error_picture *pic, const struct node *n, const double *x,
                 const double *truth, const struct layer_error *l)
{
    free(pic->map);
    *pic = (struct error_picture){.node = n, .limit = l->limit};
    if (n->shape.rank == 4)
        draw_map(pic, n, x, truth);
    draw_bins(pic, shape_count(&n->shape), x, truth, l->rms);
}

/* --- one layer --------------------------------------------------------------------- */

static double largest_of(int64_t count, const double *x)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
    return largest;
}

/* Layers whose own error shows in this one: 1, and those of inputs that are not in MINE. */
static int span_of(const struct comparison *c, const struct port *p, const struct node *n)
{
    int span = n->op != OP_input && n->op != OP_to_nhwc;
    for (int i = 0; i < n->inputs; i++)
        if (port_layer(p, n->in[i])->state != PORT_FITS)
            span += c->item[n->in[i]->id].span;
    return span;
}

/* One of the two errors of a layer. */
struct measuring {
    const struct shape *shape;
    const double *mine, *truth;
    const float *honest;
    enum number type;
    bool own;                   /* single: from the port's own inputs */
    struct layer_error *result;
};

static void measure_one(void *context)
{
    const struct measuring *m = context;
    *m->result = layer_error_of(shape_count(m->shape), m->mine, m->truth, m->honest, m->type);
    if (m->own)
        layer_error_judge_gain(m->result, m->shape, m->truth, m->honest, m->type);
}

static void measure(const struct work *w, struct compared *x, const double *mine)
{
    const struct lanes *l = &w->lanes;
    const int id = x->node->id;
    const struct shape *s = &x->node->shape;
    struct measuring run = {s, mine, l->run64[id], l->run32[id], w->type, false, &x->entire};
    struct measuring own = {s, mine, l->own64[id], l->own32[id], w->type, true, &x->single};
    tasks_run((struct task[]){{measure_one, &run}, {measure_one, &own}}, 2);
    x->pass = x->entire.pass && x->single.pass;
}

/* Counts a layer that was compared or cannot be, and remembers the first that fails. */
static bool judge(struct comparison *c, const struct compared *x)
{
    const bool own = !x->single.pass;
    c->compared += x->layer.state == PORT_FITS;
    c->passed += x->pass;
    c->failed += !x->pass;
    c->failed_single += own;
    if (x->pass || (c->first >= 0 && !(own && c->first_is_entire)))
        return false;
    c->first = x->node->id;
    c->first_is_entire = !own;
    return true;
}

static bool compare_values(struct work *w, struct compared *x, struct error *e)
{
    const struct node *n = x->node;
    const struct lanes *l = &w->lanes;
    double *mine = port_read(w->port, n, l->own64[n->id], e);
    if (!mine)
        return false;
    x->layer = *port_layer(w->port, n);         /* its order is settled now */
    measure(w, x, mine);
    const bool last = n->id == w->result->count - 1 && w->result->first < 0;
    if (judge(w->result, x) || last)
        draw(&w->result->picture, n, mine, x->single.pass ? l->run64[n->id] : l->own64[n->id],
             x->single.pass ? &x->entire : &x->single);
    lanes_adopt(&w->lanes, n, mine);
    free(mine);
    return true;
}

static bool compare_layer(struct work *w, const struct node *n, struct error *e)
{
    struct compared *x = &w->result->item[n->id];
    bool ok = lanes_step(&w->lanes, n, e);
    if (!ok)
        return false;
    *x = (struct compared){.node = n, .layer = *port_layer(w->port, n)};
    x->largest = largest_of(shape_count(&n->shape), w->lanes.run64[n->id]);
    x->span = span_of(w->result, w->port, n);
    if (x->layer.state == PORT_FITS)
        ok = compare_values(w, x, e);
    else if (x->layer.state == PORT_WRONG_SHAPE)
        judge(w->result, x);
    lanes_forget(&w->lanes, n);
    return ok;
}

bool compare_run(struct port *p, struct compare_options o, struct comparison *c, struct error *e)
{
    const struct graph *g = port_graph(p);
    struct work w = {.port = p, .type = o.type, .result = c};
    *c = (struct comparison){.count = g->nodes, .first = -1};
    c->item = calloc((size_t)g->nodes, sizeof *c->item);
    bool ok = (c->item || fail(e, EXIT_USAGE, "out of memory for %d layers", g->nodes))
           && lanes_new(&w.lanes, g, port_params(p), port_image(p), o.type, true, true, e);
    for (int i = 0; ok && i < g->nodes; i++) {
        ok = compare_layer(&w, g->node[i], e);
        if (ok && o.progress)
            o.progress(port_model(p), i + 1, g->nodes);
        if (ok && o.enough && o.enough(o.context, &c->item[i]))
            break;
    }
    lanes_free(&w.lanes);
    if (!ok)
        compare_free(c);
    return ok;
}

void compare_free(struct comparison *c)
{
    free(c->item);
    free(c->picture.map);
    *c = (struct comparison){0};
}
