/* internimage run: one image through a model, the best classes printed. */
#include "commands.h"
#include "options.h"

#include "datasets/image.h"
#include "datasets/weights_file.h"
#include "ref/ref.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct internimage_config c;
    int height, width;
    float *x = image_read(image, &height, &width, e);
    struct graph *g = x && weights_config(weights, &c, e)
                    ? internimage_graph(&c, 1, height, width, e) : NULL;
    struct ref32_run *r = g ? ref32_run_new(g, e) : NULL;
    bool ok = r && weights_read(weights, g, r->param, e);
    if (ok) {
        const struct node *last = g->node[g->nodes - 1];
        memcpy(r->value[0], x, (size_t)shape_count(&g->node[0]->shape) * sizeof *x);
        ref32_run_forward(r, NULL, NULL);
        print_best(r->value[last->id], (int)shape_count(&last->shape), 5);
    }
    ref32_run_free(r);
    graph_free(g);
    free(x);
    return ok;
}

int cmd_run(int argc, char **argv, struct error *e)
{
    const char *weights = NULL, *image = "datasets/photo/astronaut_224.ppm";
    const struct option_spec spec[] = {
        {"--weights", &weights, NULL, "HDF5 weight file (convert_checkpoint.py, or `weights`)"},
        {"--image", &image, NULL, "8-bit PPM (default datasets/photo/astronaut_224.ppm)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage run --weights FILE [--image PPM]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain > 0 || !weights) {
        fail(e, EXIT_USAGE, "give --weights FILE");
        return EXIT_USAGE;
    }
    return run(weights, image, e) ? EXIT_MATCH : EXIT_USAGE;
}
