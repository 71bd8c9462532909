/* One mistake in one layer of a model that is otherwise right: what `run --dump --plant
 * CODE@LAYER` writes, for trying `compare` and `diagnose` on. */
#ifndef VERIFY_PLANT_H
#define VERIFY_PLANT_H

#include "verify/port/conventions.h"
#include "verify/port/dump.h"

#include "ref/internimage.h"

struct plant {
    const struct convention *mistake;   /* NULL: a NaN in the middle of the layer */
    const struct node *node;            /* NULL: every block, see block_mistake() */
    const struct graph *graph;
    float *const *params;               /* of the graph */
    struct error error;                 /* when memory was short */
};

/* "XY01@levels.0.blocks.1.dcn.core", "NAN@levels.1.norm.0". A mistake about a block's norms
 * (NO01 ...) takes no layer: it changes the graph, and leaves p->node NULL. */
bool plant_parse(const char *text, const struct graph *g, float *const *params, struct plant *p,
                 struct error *e);

/* Replaces the planted node's value; others are left alone. Fits dump_options.plant. */
void plant_apply(void *plant, const struct node *n, const float *const *in, float *value);

/* dump_write() of the model with the mistake made. */
bool plant_dump(const char *text, const struct internimage_config *c, const struct graph *g,
                float *const *params, const float *image, const char *path,
                struct dump_options o, struct error *e);

#endif
