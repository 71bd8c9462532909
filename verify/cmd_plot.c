/* internimage plot: the numbers behind the figures, for gnuplot. */
#include "commands.h"
#include "options.h"

#include "datasets/image.h"
#include "ref/internimage.h"
#include "ref/ref.h"
#include "ref/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs a model with seeded weights on an image; NULL after filling *e. */
static struct ref32_run *run_seeded(const char *model, const char *image, struct graph **graph,
                                    struct error *e)
{
    struct internimage_config c;
    int height, width;
    float *x = image_read(image, &height, &width, e);
    *graph = x && internimage_named(model, &c, e) ? internimage_graph(&c, 1, height, width, e)
                                                  : NULL;
    struct ref32_run *r = *graph ? ref32_run_new(*graph, e) : NULL;
    for (int i = 0; r && i < (*graph)->params; i++)
        seeded_parameter(&(*graph)->param[i], 1, r->param[i]);
    if (r) {
        memcpy(r->value[0], x, (size_t)shape_count(&(*graph)->node[0]->shape) * sizeof *x);
        ref32_run_forward(r, NULL, NULL);
    }
    free(x);
    return r;
}

/* One line per sampling point of output pixel (oy, ox): group, regular position, moved
 * position (both in image pixels), modulation. */
static void print_points(const struct ref32_run *r, const struct node *core, int oy, int ox)
{
    const struct shape *in = &core->in[0]->shape, *image = &r->graph->node[0]->shape;
    const struct attr *a = &core->attr;
    const int points = a->y.kernel * a->x.kernel;
    const double pixel_h = (double)image->dim[2] / (double)in->dim[1];
    const double pixel_w = (double)image->dim[3] / (double)in->dim[2];
    const int64_t at = (oy * in->dim[2] + ox) * a->groups * points;
    const float *offset = r->value[core->in[1]->id] + 2 * at;
    const float *mask = r->value[core->in[2]->id] + at;
    puts("# group regular_x regular_y x y modulation");
    for (int g = 0; g < a->groups; g++) {
        for (int p = 0; p < points; p++, offset += 2, mask++) {
            double x = ox - a->x.pad + p / a->y.kernel, y = oy - a->y.pad + p % a->y.kernel;
            double px = ox + (x - ox + offset[0]) * a->offset_scale;
            double py = oy + (y - oy + offset[1]) * a->offset_scale;
            printf("%d %.2f %.2f %.2f %.2f %.4f\n", g, (x + 0.5) * pixel_w, (y + 0.5) * pixel_h,
                   (px + 0.5) * pixel_w, (py + 0.5) * pixel_h, *mask);
        }
    }
}

static bool plot_sampling(const char *model, const char *image, const char *layer, struct error *e)
{
    char name[NAME_SIZE];
    struct graph *g;
    struct ref32_run *r = run_seeded(model, image, &g, e);
    snprintf(name, sizeof name, "%s.core", layer);
    const struct node *core = r ? graph_find(g, name) : NULL;
    if (r && !core)
        fail(e, EXIT_USAGE, "%s has no DCNv3 layer '%s'", model, layer);
    if (core)
        print_points(r, core, (int)core->shape.dim[1] / 3, (int)core->shape.dim[2] / 2);
    ref32_run_free(r);
    graph_free(g);
    return core != NULL;
}

int cmd_plot(int argc, char **argv, struct error *e)
{
    const char *model = "t", *image = "datasets/photo/astronaut_224.ppm";
    const char *layer = "levels.2.blocks.8.dcn";
    const struct option_spec spec[] = {
        {"--model", &model, NULL, "with seeded weights (default t)"},
        {"--image", &image, NULL, "8-bit PPM (default datasets/photo/astronaut_224.ppm)"},
        {"--layer", &layer, NULL, "default levels.2.blocks.8.dcn"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage plot sampling [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain != 1 || strcmp(argv[0], "sampling")) {
        fail(e, EXIT_USAGE, "say what: sampling");
        return EXIT_USAGE;
    }
    return plot_sampling(model, image, layer, e) ? EXIT_MATCH : EXIT_USAGE;
}
