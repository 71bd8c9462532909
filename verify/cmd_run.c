/* internimage run: one image through a model, the best classes printed; or every activation
 * to a file. */
#include "commands.h"
#include "golden.h"
#include "options.h"
#include "progress.h"

#include "datasets/image.h"
#include "datasets/weights_file.h"
#include "opt/internimage.h"
#include "verify/port/dump.h"
#include "verify/port/plant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct run_arguments {
    const char *weights, *image, *golden, *dump, *type, *plant;
    bool nchw;
};

static void print_best(const float *logits, int classes, int count)
{
    float largest = logits[0], sum = 0, below = INFINITY;
    for (int i = 0; i < classes; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (int i = 0; i < classes; i++)
        sum += expf(logits[i] - largest);
    for (int k = 0; k < count && k < classes; k++) {
        int best = -1;
        for (int i = 0; i < classes; i++)
            if (logits[i] < below && (best < 0 || logits[i] > logits[best]))
                best = i;
        if (best < 0)
            return;
        below = logits[best];
        printf("class %-5d  logit %9.4f  probability %.4f\n", best, logits[best],
               expf(logits[best] - largest) / sum);
    }
}

static bool run(const char *weights, const char *image, struct error *e)
{
    int height, width;
    char why[sizeof e->text];
    float *x = image_read(image, &height, &width, e);
    struct internimage *m = x ? internimage_load(weights, 1, height, width, 0, why, sizeof why)
                              : NULL;
    float *logits = m ? malloc((size_t)internimage_classes(m) * sizeof *logits) : NULL;
    if (logits) {
        internimage_run(m, x, logits);
        print_best(logits, internimage_classes(m), 5);
    } else if (x) {
        fail(e, EXIT_BAD_FILE, "%s", m ? "out of memory" : why);
    }
    bool ok = logits != NULL;
    free(logits);
    internimage_free(m);
    free(x);
    return ok;
}

/* --- every activation, by the reference ----------------------------------------------- */

static bool dump_golden(const struct run_arguments *a, struct dump_options o, struct error *e)
{
    struct golden_start s;
    bool ok = golden_start(a->golden, &s, e)
           && (a->plant ? plant_dump(a->plant, &s.config, s.graph, s.param, s.image, a->dump, o, e)
                        : dump_write(s.graph, s.param, s.image, a->dump, o, e));
    golden_start_free(&s);
    return ok;
}

static bool dump_image(const char *weights, const char *image, const char *path,
                       struct dump_options o, struct error *e)
{
    int height, width;
    struct internimage_config c;
    float *x = image_read(image, &height, &width, e);
    struct graph *g = x && weights_config(weights, &c, e)
                    ? internimage_graph(&c, 1, height, width, e) : NULL;
    float **param = g ? weights_new(g, e) : NULL;
    bool ok = param && weights_read(weights, g, param, e) && dump_write(g, param, x, path, o, e);
    if (g)
        weights_free(g, param);
    graph_free(g);
    free(x);
    return ok;
}

static bool dump(const struct run_arguments *a, struct error *e)
{
    struct dump_options o = {.progress = progress, .nchw = a->nchw};
    if (a->type && !number_find(a->type, &o.type))
        return fail(e, EXIT_USAGE, "--dtype is fp32, fp16 or bf16, not '%s'", a->type);
    bool ok = a->golden ? dump_golden(a, o, e)
                        : dump_image(a->weights, a->image, a->dump, o, e);
    progress_end();
    return ok;
}

int cmd_run(int argc, char **argv, struct error *e)
{
    struct run_arguments a = {.image = "datasets/photo/astronaut_224.ppm"};
    const struct option_spec spec[] = {
        {"--weights", &a.weights, NULL, "HDF5 weight file (convert_checkpoint.py, or `weights`)"},
        {"--image", &a.image, NULL, "8-bit PPM (default datasets/photo/astronaut_224.ppm)"},
        {"--golden", &a.golden, NULL, "instead of both: a golden file's weights and image"},
        {"--dump", &a.dump, NULL, "write every activation to VALUE (.h5 or .npz), by the reference"},
        {"--dtype", &a.type, NULL, "with --dump: values kept in fp32 (default), fp16 or bf16"},
        {"--nchw", NULL, &a.nchw, "with --dump: images as [N,C,H,W]"},
        {"--plant", &a.plant, NULL, "with --golden --dump: make a mistake, CODE@LAYER (see explain)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec,
                              "internimage run --weights FILE [--image PPM] [--dump FILE]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain > 0 || !a.weights == !a.golden || (a.golden && !a.dump)
        || (a.plant && !a.golden)) {
        fail(e, EXIT_USAGE, "give --weights FILE, or --golden FILE and --dump FILE (--plant needs these)");
        return EXIT_USAGE;
    }
    return (a.dump ? dump(&a, e) : run(a.weights, a.image, e)) ? EXIT_MATCH : EXIT_USAGE;
}
