/* The layers and models of the suite. */
#include "suite.h"

#include "ref/build.h"
#include "ref/weights.h"

#include <stdlib.h>
#include <string.h>

const struct suite_module suite_modules[] = {
    {"dcnv3", 2, 7, 9, 12, 3, {.name = "dcnv3", .kernel_size = 3, .offset_scale = 1}},
    {"dcnv3_k5_scale", 1, 9, 7, 8, 2, {.name = "dcnv3", .kernel_size = 5, .offset_scale = 2}},
    {"dcnv3_remove_center", 2, 6, 8, 8, 4,
     {.name = "dcnv3", .kernel_size = 3, .offset_scale = 1.5, .remove_center = true}},
    {"dcnv3_center_feature_scale", 1, 8, 7, 12, 2,
     {.name = "dcnv3", .kernel_size = 3, .dw_kernel_size = 5, .offset_scale = 1,
      .center_feature_scale = true}},
};
const int suite_module_count = sizeof suite_modules / sizeof *suite_modules;

struct graph *suite_module_graph(const struct suite_module *m, struct error *e)
{
    struct graph *g = graph_new();
    struct node *x = !g ? NULL : graph_input(g, "input", shape_of(4, (int64_t)m->batch,
                                             (int64_t)m->height, (int64_t)m->width,
                                             (int64_t)m->channels));
    if (x && dcnv3_module(g, x, &m->config, m->channels, m->groups))
        return g;
    fail(e, EXIT_USAGE, "%s: %s", m->name, g ? g->error.text : "out of memory");
    graph_free(g);
    return NULL;
}

/* The four ways in which blocks and heads are put together, small; and T, by its seed. */
const struct suite_model suite_models[] = {
    {"pico", 2, 64, 48, false}, {"pico_s", 1, 32, 64, false}, {"pico_h", 1, 64, 32, false},
    {"pico_g", 1, 32, 64, false}, {"t", 1, 64, 96, true},
};
const int suite_model_count = sizeof suite_models / sizeof *suite_models;

bool suite_model_config(const char *name, struct internimage_config *c, struct error *e)
{
    const bool pico = !strncmp(name, "pico", 4);
    if (!internimage_named(pico ? "pico" : name, c, e))
        return false;
    if (!strcmp(name, "pico_s")) {
        c->post_norm = c->layer_scale = true;
        c->offset_scale = 2;
    }
    if (!strcmp(name, "pico_h") || !strcmp(name, "pico_g")) {
        c->center_feature_scale = c->clip_projector = true;
        c->clip_dim = 64;
        c->clip_heads = 4;
        c->clip_out = 48;
    }
    if (!strcmp(name, "pico_h")) {
        c->res_post_norm = true;
        c->dw_kernel_size = 5;
        c->post_norms = 2;
        c->post_norm_ids[1] = 1;
    }
    if (!strcmp(name, "pico_g")) {
        c->post_norm = c->remove_center = true;
        c->kernel_size = 5;
        c->post_norms = 1;
        c->post_norm_ids[0] = 1;
    }
    return true;
}

bool suite_fill(struct pair *p, struct error *e)
{
    const struct graph *g = p->graph;
    for (int i = -1; i < g->params; i++) {
        const int64_t count = shape_count(i < 0 ? &g->node[0]->shape : &g->param[i].shape);
        float *v = malloc((size_t)count * sizeof *v);
        if (!v)
            return fail(e, EXIT_USAGE, "out of memory for %lld values", (long long)count);
        if (i < 0) {
            seeded_uniform("input", SUITE_SEED, count, v);
            for (int64_t k = 0; k < count; k++)
                v[k] *= 2;
            pair_set_value(p, g->node[0], v);
        } else {
            seeded_parameter(&g->param[i], SUITE_SEED, v);
            pair_set_param(p, i, v);
        }
        free(v);
    }
    return true;
}
