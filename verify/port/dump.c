#include "dump.h"
#include "lanes.h"
#include "port.h"

#include "datasets/h5.h"
#include "datasets/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    struct h5_file *h5;
    struct npz_file *npz;       /* one of the two */
};

static bool sink_open(struct sink *s, const char *path, struct error *e)
{
    const size_t length = strlen(path);
    if (length > 4 && !strcmp(path + length - 4, ".npz"))
        s->npz = npz_create(path, e);
    else
        s->h5 = h5_create(path, e);
    return s->npz || s->h5;
}

static bool sink_write(struct sink *s, const struct node *n, const struct shape *shape,
                       const float *value, struct error *e)
{
    return s->npz ? npz_write_f32(s->npz, n->name, shape->rank, shape->dim, value, e)
                  : h5_write_f32(s->h5, "", n->name, shape->rank, shape->dim, value, e);
}

/* A copy of an NHWC value as [N,C,H,W]. */
static float *as_nchw(const struct node *n, const float *value, struct shape *shape)
{
    const int64_t *d = n->shape.dim, pixels = d[1] * d[2], channels = d[3];
    float *copy = malloc((size_t)shape_count(&n->shape) * sizeof *copy);
    *shape = shape_of(4, d[0], channels, d[1], d[2]);
    for (int64_t i = 0; copy && i < shape_count(&n->shape); i++) {
        const int64_t image = i / (pixels * channels), p = i / channels % pixels, c = i % channels;
        copy[(image * channels + c) * pixels + p] = value[i];
    }
    return copy;
}

static bool write_value(struct sink *s, const struct node *n, bool nchw, const float *value,
                        struct error *e)
{
    struct shape shape = n->shape;
    if (n->op == OP_to_nhwc)
        return true;            /* no layer of PyTorch's */
    if (!nchw || shape.rank != 4 || node_is_nchw(n))
        return sink_write(s, n, &shape, value, e);
    float *copy = as_nchw(n, value, &shape);
    bool ok = copy ? sink_write(s, n, &shape, copy, e)
                   : fail(e, EXIT_USAGE, "out of memory for %s", n->name);
    free(copy);
    return ok;
}

static bool dump_layer(struct sink *s, struct lanes *l, const struct node *n,
                       const struct dump_options *o, struct error *e)
{
    const float *in[MAX_INPUTS] = {0};
    if (!lanes_step(l, n, e))
        return false;
    for (int i = 0; i < n->inputs; i++)
        in[i] = l->run32[n->in[i]->id];
    if (o->plant) {
        o->plant(o->context, n, in, l->run32[n->id]);
        number_round(o->type, shape_count(&n->shape), l->run32[n->id]);
    }
    bool ok = write_value(s, n, o->nchw, l->run32[n->id], e);
    lanes_forget(l, n);
    return ok;
}

bool dump_write(const struct graph *g, float *const *params, const float *image,
                const char *path, struct dump_options o, struct error *e)
{
    struct sink s = {0};
    struct lanes l = {0};
    bool ok = lanes_new(&l, g, params, image, o.type, false, false, e) && sink_open(&s, path, e);
    for (int i = 0; ok && i < g->nodes; i++) {
        ok = dump_layer(&s, &l, g->node[i], &o, e);
        if (ok && o.progress)
            o.progress(path, i + 1, g->nodes);
    }
    lanes_free(&l);
    const bool closed = s.npz ? npz_close(s.npz, e) : h5_close(s.h5, e);
    if (!ok && (s.npz || s.h5))
        remove(path);           /* no half a dump under the real name */
    return ok && closed;
}
