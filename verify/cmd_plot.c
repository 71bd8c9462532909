/* internimage plot: the numbers behind the figures, for gnuplot. */
#include "commands.h"
#include "options.h"

#include "ref/ref.h"
#include "verify/train/specimen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The model run on the image; NULL after filling *e. */
static struct ref32_run *run_specimen(const struct specimen *s, int64_t index, struct error *e)
{
    struct ref32_run *r = ref32_run_new(s->graph, e);
    for (int i = 0; r && i < s->graph->params; i++)
        memcpy(r->param[i], s->params[i],
               (size_t)shape_count(&s->graph->param[i].shape) * sizeof(float));
    if (r && specimen_image(s, index, r->value[0], e)) {
        ref32_run_forward(r, NULL, NULL);
        return r;
    }
    ref32_run_free(r);
    return NULL;
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

/* The operator of a layer, or of a stage's last block (stages from 1). */
static const struct node *find_core(const struct specimen *s, const char *layer, int stage,
                                    struct error *e)
{
    char name[NAME_SIZE];
    if (layer)
        snprintf(name, sizeof name, "%s.core", layer);
    else
        snprintf(name, sizeof name, "levels.%d.blocks.%d.dcn.core", stage - 1,
                 s->config.depths[stage - 1] - 1);
    const struct node *core = graph_find(s->graph, name);
    if (!core || core->op != OP_dcnv3)
        fail(e, EXIT_USAGE, "there is no DCNv3 operator '%s'", name);
    return core && core->op == OP_dcnv3 ? core : NULL;
}

/* Output pixel: at fractions of the map's height and width. */
struct place {
    double y, x;
};

static bool plot_sampling(const struct specimen *s, int64_t index, const struct node *core,
                          struct place at, struct error *e)
{
    struct ref32_run *r = run_specimen(s, index, e);
    if (r)
        print_points(r, core, (int)(at.y * (double)core->shape.dim[1]),
                     (int)(at.x * (double)core->shape.dim[2]));
    ref32_run_free(r);
    return r != NULL;
}

int cmd_plot(int argc, char **argv, struct error *e)
{
    struct specimen_options o = {.model = "t", .init = "seeded",
                                 .image = "datasets/photo/astronaut_224.ppm"};
    const char *layer = NULL, *stage = "3", *pixel = "0.334,0.5", *index = "0", *size = "0";
    const struct option_spec spec[] = {
        {"--weights", &o.weights, NULL, "a trained model; without: --model"},
        {"--model", &o.model, NULL, "default t"},
        {"--init", &o.init, NULL, "its parameters: seeded (default) or initial"},
        {"--image", &o.image, NULL, "8-bit PPM (default datasets/photo/astronaut_224.ppm)"},
        {"--data", &o.data, NULL, "or a test image of a set: fashion-mnist or cifar10"},
        {"--data-dir", &o.data_dir, NULL, "where its files are"},
        {"--size", &size, NULL, "they are scaled to this side, default: as in training"},
        {"--index", &index, NULL, "which one, default 0"},
        {"--stage", &stage, NULL, "1 to 4: its last layer (default 3)"},
        {"--layer", &layer, NULL, "or a layer by name, as levels.2.blocks.8.dcn"},
        {"--pixel", &pixel, NULL, "Y,X, fractions of the feature map (default 0.334,0.5)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage plot sampling [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    const int level = atoi(stage), image = atoi(index);
    struct place at;
    if (plain != 1 || strcmp(argv[0], "sampling")) {
        fail(e, EXIT_USAGE, "say what: sampling");
        return EXIT_USAGE;
    }
    if (level < 1 || level > LEVELS || sscanf(pixel, "%lf,%lf", &at.y, &at.x) != 2
        || !(at.y >= 0 && at.y < 1 && at.x >= 0 && at.x < 1)) {
        fail(e, EXIT_USAGE, "stage '%s' must be 1 to 4, pixel '%s' two fractions of 0..1", stage,
             pixel);
        return EXIT_USAGE;
    }
    struct specimen s;
    o.size = atoi(size);
    if (!specimen_open(&s, &o, e))
        return EXIT_USAGE;
    bool ok = (image >= 0 && image < specimen_count(&s))
           || fail(e, EXIT_USAGE, "--index '%s': there are %lld images", index,
                   (long long)specimen_count(&s));
    const struct node *core = ok ? find_core(&s, layer, level, e) : NULL;
    ok = core && plot_sampling(&s, image, core, at, e);
    specimen_close(&s);
    return ok ? EXIT_MATCH : EXIT_USAGE;
}
