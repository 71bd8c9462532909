/* libinternimage: the public API over graph, weight file and plan. */
#include "internimage.h"

#include "plan.h"

#include "datasets/weights_file.h"
#include "ref/internimage.h"
#include "ref/weights.h"

#include <stdio.h>
#include <stdlib.h>

struct internimage {
    struct graph *graph;
    struct plan *plan;
    const struct node *feature[LEVELS];
};

/* What the next stage, or the head, reads is the level's feature map. */
static void find_features(struct internimage *m)
{
    for (int i = 0; i < LEVELS; i++) {
        char name[64];
        snprintf(name, sizeof name, "levels.%d.downsample.conv", i);
        const struct node *reader = graph_find(m->graph, i < 3 ? name : "conv_head.0");
        if (!reader)
            reader = graph_find(m->graph, "dcnv3_head_x4.0");
        m->feature[i] = reader ? reader->in[0] : NULL;
    }
}

static bool compile(struct internimage *m, float *const *params, int threads, struct error *e)
{
    find_features(m);
    m->plan = plan_new(m->graph, params, (struct plan_options){
        .threads = threads, .kept = m->feature, .kept_count = LEVELS}, e);
    return m->plan != NULL;
}

/* `path` NULL: seeded weights. */
static struct internimage *make(const struct internimage_config *c, const char *path, int batch,
                                int height, int width, int threads, struct error *e)
{
    struct internimage *m = calloc(1, sizeof *m);
    float **params = NULL;
    bool ok = m && (m->graph = internimage_graph(c, batch, height, width, e))
           && (params = weights_new(m->graph, e));
    for (int i = 0; ok && !path && i < m->graph->params; i++)
        seeded_parameter(&m->graph->param[i], 1, params[i]);
    ok = ok && (!path || weights_read(path, m->graph, params, e))
      && compile(m, params, threads, e);
    if (params)
        weights_free(m->graph, params);
    if (ok)
        return m;
    internimage_free(m);
    return NULL;
}

static struct internimage *report(struct internimage *m, const struct error *e, char *why,
                                  size_t size)
{
    if (!m && why && size)
        snprintf(why, size, "%s", e->text[0] ? e->text : "out of memory");
    return m;
}

struct internimage *internimage_load(const char *path, int batch, int height, int width,
                                     int threads, char *why, size_t size)
{
    struct error e = {0};
    struct internimage_config c;
    struct internimage *m = weights_config(path, &c, &e)
                          ? make(&c, path, batch, height, width, threads, &e) : NULL;
    return report(m, &e, why, size);
}

struct internimage *internimage_seeded(const char *name, int batch, int height, int width,
                                       int threads, char *why, size_t size)
{
    struct error e = {0};
    struct internimage_config c;
    struct internimage *m = internimage_named(name, &c, &e)
                          ? make(&c, NULL, batch, height, width, threads, &e) : NULL;
    return report(m, &e, why, size);
}

void internimage_free(struct internimage *m)
{
    if (!m)
        return;
    plan_free(m->plan);
    graph_free(m->graph);
    free(m);
}

void internimage_run(struct internimage *m, const float *image, float *logits)
{
    plan_run(m->plan, &image, logits);
}

int internimage_classes(const struct internimage *m)
{
    return (int)shape_last(&m->graph->node[m->graph->nodes - 1]->shape);
}

const float *internimage_feature(const struct internimage *m, int level, int *height, int *width,
                                 int *channels)
{
    const struct node *n = level >= 0 && level < LEVELS ? m->feature[level] : NULL;
    if (!n)
        return NULL;
    *height = (int)n->shape.dim[1];
    *width = (int)n->shape.dim[2];
    *channels = (int)n->shape.dim[3];
    return plan_value(m->plan, n);
}

const char *internimage_isa(const struct internimage *m)
{
    return plan_isa(m->plan);
}
