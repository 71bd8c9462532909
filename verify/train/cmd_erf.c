/* internimage erf: effective receptive fields (the paper's figure 7). How much each input
 * pixel moves the feature in the middle of a stage: the gradient of the sum of that
 * feature's channels, its absolute value summed over the image's, averaged over images. */
#include "specimen.h"

#include "opt/trainer.h"
#include "ref/ref.h"
#include "verify/commands.h"
#include "verify/options.h"
#include "verify/table.h"
#include "verify/train/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The last node of a stage: what the next one reads. */
static const struct node *stage_output(const struct specimen *s, int stage)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "levels.%d.norm.0", stage);
    const struct node *n = graph_find(s->graph, name);
    snprintf(name, sizeof name, "levels.%d.blocks.%d", stage, s->config.depths[stage] - 1);
    return n ? n : graph_find(s->graph, name);
}

/* Adds |d feature / d input| of one image to map[height * width]. */
static bool add_gradient(struct trainer *t, const struct node *stage, double *map, struct error *e)
{
    const struct ref32_run *r = trainer_run(t);
    const struct shape *f = &stage->shape, *in = &r->graph->node[0]->shape;
    const int64_t count = shape_count(f), channels = f->dim[3], pixels = in->dim[2] * in->dim[3];
    float *one = calloc((size_t)count, sizeof *one);
    if (!one)
        return fail(e, EXIT_USAGE, "out of memory for a gradient");
    for (int64_t c = 0; c < channels; c++)
        one[(f->dim[1] / 2 * f->dim[2] + f->dim[2] / 2) * channels + c] = 1;
    const bool ok = trainer_backward_from(t, stage, one, e);
    free(one);
    for (int64_t i = 0; ok && i < 3 * pixels; i++)
        map[i % pixels] += fabs(r->d_value[0][i]);
    return ok;
}

/* Maps of all stages, each a mean over the images. */
static bool measure(const struct specimen *s, struct trainer *t, int64_t images, double **map,
                    struct error *e)
{
    struct ref32_run *r = trainer_run(t);
    const int64_t pixels = (int64_t)s->height * s->width;
    struct progress p = progress_start("images", images, true);
    for (int i = 0; i < s->graph->params; i++)
        memcpy(r->param[i], s->params[i],
               (size_t)shape_count(&s->graph->param[i].shape) * sizeof(float));
    for (int64_t i = 0; i < images; i++) {
        if (!specimen_image(s, i, r->value[0], e))
            return false;
        trainer_forward(t);
        for (int k = 0; k < LEVELS; k++)
            if (!add_gradient(t, stage_output(s, k), map[k], e))
                return false;
        progress_show(&p, i + 1, "%d stages each", LEVELS);
    }
    progress_stop(&p);
    for (int k = 0; k < LEVELS; k++)
        for (int64_t i = 0; i < pixels; i++)
            map[k][i] /= (double)images;
    return true;
}

/* Side of the smallest square around the feature that holds a share of the sum. */
static int square_side(const double *map, int height, int width, int cy, int cx, double share)
{
    double sum = 0, all = 0;
    for (int64_t i = 0; i < (int64_t)height * width; i++)
        all += map[i];
    for (int radius = 0; radius < height + width; radius++) {
        sum = 0;
        for (int y = cy - radius; y <= cy + radius; y++)
            for (int x = cx - radius; x <= cx + radius; x++)
                if (y >= 0 && x >= 0 && y < height && x < width)
                    sum += map[y * width + x];
        if (sum >= share * all)
            return 2 * radius + 1;
    }
    return 0;
}

/* Share of the image's pixels that hold at least 1 % of the largest gradient. */
static double touched(const double *map, int64_t pixels)
{
    double most = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < pixels; i++)
        most = fmax(most, map[i]);
    for (int64_t i = 0; i < pixels; i++)
        count += map[i] >= 0.01 * most;
    return 100.0 * (double)count / (double)pixels;
}

static void print_table(const struct specimen *s, double *const *map, int64_t images)
{
    struct table t = {0};
    table_row(&t, "stage|feature map|holds 50 %%|holds 90 %%|pixels above 1 %% of the largest");
    for (int k = 0; k < LEVELS; k++) {
        const struct shape *f = &stage_output(s, k)->shape;
        /* the middle of the input pixels behind the feature */
        const int cy = (int)((f->dim[1] / 2 + 0.5) * s->height / (double)f->dim[1]);
        const int cx = (int)((f->dim[2] / 2 + 0.5) * s->width / (double)f->dim[2]);
        const int half = square_side(map[k], s->height, s->width, cy, cx, 0.5);
        const int most = square_side(map[k], s->height, s->width, cy, cx, 0.9);
        table_row(&t, "%d|%lldx%lld|%dx%d|%dx%d|%.1f %%", k + 1, (long long)f->dim[1],
                  (long long)f->dim[2], half, half, most, most,
                  touched(map[k], (int64_t)s->height * s->width));
    }
    table_print(&t, stdout);
    table_free(&t);
    printf("\n%dx%d input, %lld image%s; holds: the smallest square around the feature with that\n"
           "share of the gradient's absolute sum; it may reach beyond the image.\n",
           s->height, s->width, (long long)images, images == 1 ? "" : "s");
}

/* For gnuplot: a matrix per stage, its largest value 1. */
static bool write_maps(const char *path, const struct specimen *s, double *const *map,
                       struct error *e)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return fail(e, EXIT_BAD_FILE, "%s: cannot be written", path);
    for (int k = 0; k < LEVELS; k++) {
        double most = 0;
        for (int64_t i = 0; i < (int64_t)s->height * s->width; i++)
            most = fmax(most, map[k][i]);
        for (int y = 0; y < s->height; y++)
            for (int x = 0; x < s->width; x++)
                fprintf(f, "%.4g%c", most > 0 ? map[k][y * s->width + x] / most : 0,
                        x + 1 < s->width ? ' ' : '\n');
        fputs("\n\n", f);
    }
    return fclose(f) == 0 || fail(e, EXIT_BAD_FILE, "%s: cannot be written", path);
}

static bool erf_of(const struct specimen_options *o, int64_t images, const char *maps,
                   struct error *e)
{
    struct specimen s;
    double *map[LEVELS] = {0};
    if (!specimen_open(&s, o, e))
        return false;
    images = images < specimen_count(&s) ? images : specimen_count(&s);
    struct trainer *t = trainer_new(s.graph, (struct trainer_options){0}, e);
    bool ok = t != NULL;
    for (int k = 0; ok && k < LEVELS; k++)
        ok = (map[k] = calloc((size_t)s.height * s.width, sizeof **map)) != NULL
          || fail(e, EXIT_USAGE, "out of memory for a map");
    ok = ok && measure(&s, t, images, map, e) && (!maps || write_maps(maps, &s, map, e));
    if (ok)
        print_table(&s, map, images);
    for (int k = 0; k < LEVELS; k++)
        free(map[k]);
    trainer_free(t);
    specimen_close(&s);
    return ok;
}

int cmd_erf(int argc, char **argv, struct error *e)
{
    struct specimen_options o = {.model = "pico", .init = "initial",
                                 .image = "datasets/photo/astronaut_224.ppm"};
    const char *images = "50", *maps = NULL, *size = "0";
    const struct option_spec spec[] = {
        {"--weights", &o.weights, NULL, "a trained model; without: --model before training"},
        {"--model", &o.model, NULL, "default pico"},
        {"--init", &o.init, NULL, "its parameters: initial (default) or seeded"},
        {"--image", &o.image, NULL, "8-bit PPM, default the photograph"},
        {"--data", &o.data, NULL, "or test images of a set: fashion-mnist or cifar10"},
        {"--data-dir", &o.data_dir, NULL, "where its files are"},
        {"--size", &size, NULL, "they are scaled to this side, default: as in training"},
        {"--images", &images, NULL, "so many of them, averaged (default 50)"},
        {"--maps", &maps, NULL, "file for the four maps (docs/erf.gp)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage erf [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    const long count = strtol(images, NULL, 10);
    o.size = atoi(size);
    if (plain > 0 || count < 1 || o.size < 0) {
        fail(e, EXIT_USAGE, plain ? "unexpected argument '%s'"
                                  : "--images '%s' and --size must be positive numbers",
             plain ? argv[0] : images);
        return EXIT_USAGE;
    }
    return erf_of(&o, count, maps, e) ? EXIT_MATCH : EXIT_USAGE;
}
