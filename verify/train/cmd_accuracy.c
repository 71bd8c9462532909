/* internimage accuracy: top-1 and top-5 of a weight file on an image set, the predictions,
 * and how they compare with another implementation's. */
#include "evaluate.h"
#include "numbers.h"
#include "predictions.h"

#include "datasets/weights_file.h"
#include "verify/commands.h"
#include "verify/json.h"
#include "verify/options.h"

#include <stdlib.h>
#include <string.h>

struct accuracy {
    const char *data, *data_dir, *weights, *predictions, *against, *engine;
    struct evaluate_options o;
    bool json;
    int limit;
};

static void print(const struct accuracy *a, const struct image_set *images,
                  const struct evaluation *r, const struct agreement *g)
{
    const double n = (double)r->images;
    if (a->json) {
        struct json j = {.to = stdout};
        json_open(&j, NULL, '{');
        json_string(&j, "data", a->data);
        json_string(&j, "weights", a->weights);
        json_string(&j, "engine", a->engine);
        json_int(&j, "images", r->images);
        json_int(&j, "right", r->top1);
        json_number(&j, "top1", (double)r->top1 / n);
        json_number(&j, "top5", (double)r->top5 / n);
        json_number(&j, "loss", r->loss);
        json_number(&j, "images_per_second", n / r->seconds);
        if (g->images) {
            json_int(&j, "compared", g->images);
            json_int(&j, "same", g->same);
            json_int(&j, "their_right", g->right);
        }
        json_close(&j, '}');
        return;
    }
    if (images->note[0])
        printf("%s: %s\n", a->data, images->note);
    printf("%s on %s (%s): %lld of %lld right, top-1 %.2f %%, top-5 %.2f %%, loss %.4f; %.0f images/s\n",
           a->weights, a->data, a->engine, (long long)r->top1, (long long)r->images,
           100 * (double)r->top1 / n, 100 * (double)r->top5 / n, r->loss, n / r->seconds);
    if (g->images)
        printf("%s: %lld of %lld right; the same class for %lld of %lld images (%.3f %%)%s\n",
               a->against, (long long)g->right, (long long)g->images, (long long)g->same,
               (long long)g->images, 100 * (double)g->same / (double)g->images,
               g->same == g->images ? "" : "; first difference:");
    if (g->images && g->same < g->images)
        printf("image %lld, label %d: %d here, %d there\n", (long long)g->first, g->label, g->here,
               g->there);
}

static int run(struct accuracy *a, struct error *e)
{
    struct internimage_config c;
    struct evaluation r;
    struct agreement g = {0};
    if (!weights_config(a->weights, &c, e))
        return EXIT_BAD_FILE;
    struct image_set *images = images_open(a->data, a->data_dir, false, e);
    if (!images)
        return (int)e->code;
    if (!a->o.size && c.image_size && c.image_size != images->height)
        a->o.size = c.image_size;
    const int side = a->o.size ? a->o.size : images->height;
    struct graph *graph = internimage_graph(&c, 1, side, a->o.size ? side : images->width, e);
    float **weights = graph ? weights_new(graph, e) : NULL;
    int32_t (*best)[5] = malloc((size_t)images->count * sizeof *best);
    a->o.limit = a->limit;
    bool ok = weights && weights_read(a->weights, graph, weights, e)
           && (best || fail(e, EXIT_USAGE, "out of memory"))
           && evaluate(&c, weights, images, &a->o, best, &r, e)
           && (!a->predictions || predictions_write(a->predictions, r.images, images->label, best, e))
           && (!a->against || predictions_compare(a->against, r.images, images->label, best, &g, e));
    if (ok)
        print(a, images, &r, &g);
    if (graph)
        weights_free(graph, weights);
    graph_free(graph);
    free(best);
    images_close(images);
    return ok ? EXIT_MATCH : (int)e->code;
}

int cmd_accuracy(int argc, char **argv, struct error *e)
{
    struct accuracy a = {.engine = "opt", .o = {.progress = true}};
    const char *threads = NULL, *batch = NULL, *size = NULL, *limit = NULL;
    const struct option_spec spec[] = {
        {"--data", &a.data, NULL, "fashion-mnist, cifar10 (their test images) or FILE.h5"},
        {"--data-dir", &a.data_dir, NULL, "where the files of the first two are"},
        {"--weights", &a.weights, NULL, "weight file (default: the one that is shipped for the data)"},
        {"--engine", &a.engine, NULL, "opt (default) or ref"},
        {"--size", &size, NULL, "side the images are scaled to (default: as the weights say)"},
        {"--limit", &limit, NULL, "only the first images"},
        {"--predictions", &a.predictions, NULL, "file to write: image, label, five best classes"},
        {"--against", &a.against, NULL, "such a file of another implementation: how many agree"},
        {"--batch", &batch, NULL, "default 50"},
        {"--threads", &threads, NULL, "default: all"},
        {"--json", NULL, &a.json, "machine-readable"},
        {0},
    };
    const int plain = options_parse(argc, argv, spec, "internimage accuracy --data SET [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain > 0 || !a.data) {
        fail(e, EXIT_USAGE, plain ? "unexpected argument '%s'" : "give --data", argv[0]);
        return EXIT_USAGE;
    }
    if (!a.weights && !strcmp(a.data, "fashion-mnist"))
        a.weights = "datasets/weights/pico_fashion_mnist.h5";
    if (!a.weights && !strcmp(a.data, "cifar10"))
        a.weights = "datasets/weights/pico_cifar10.h5";
    if (!a.weights || (strcmp(a.engine, "opt") && strcmp(a.engine, "ref"))) {
        fail(e, EXIT_USAGE, "give --weights, and opt or ref as the engine");
        return EXIT_USAGE;
    }
    a.o.engine = strcmp(a.engine, "ref") ? ENGINE_OPT : ENGINE_REF;
    if (!integer_from(threads, "--threads", 1, 1024, &a.o.threads, e)
        || !integer_from(batch, "--batch", 1, 65536, &a.o.batch, e)
        || !integer_from(size, "--size", 8, 4096, &a.o.size, e)
        || !integer_from(limit, "--limit", 1, 1e9, &a.limit, e))
        return EXIT_USAGE;
    return run(&a, e);
}
