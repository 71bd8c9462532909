/* internimage run: one image through a model, the best classes printed. */
#include "commands.h"
#include "options.h"

#include "datasets/image.h"
#include "opt/internimage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
