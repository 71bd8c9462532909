/* internimage train: a model from its initial parameters to a weight file. */
#include "evaluate.h"
#include "numbers.h"
#include "train.h"

#include "datasets/half.h"
#include "datasets/weights_file.h"
#include "verify/commands.h"
#include "verify/options.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *data, *data_dir, *model, *out, *log, *engine;
    bool half;
    struct train_options o;
};

/* Weights as they will be in the file, and what they are worth. */
static bool write_half(const struct arguments *a, const struct internimage_config *c,
                       const struct graph *g, float *const *weights, const struct image_set *test,
                       struct error *e)
{
    const struct evaluate_options o = {.engine = a->o.engine, .threads = a->o.threads,
                                       .size = a->o.view.size};
    struct evaluation r;
    for (int i = 0; i < g->params; i++)
        for (int64_t k = 0; k < shape_count(&g->param[i].shape); k++)
            weights[i][k] = half_to_float(half_from_double(weights[i][k]));
    if (!evaluate(c, weights, test, &o, NULL, &r, e))
        return false;
    fprintf(stderr, "rounded to float16: %.2f %%\n", 100 * (double)r.top1 / (double)r.images);
    return weights_write_half(a->out, c, g, weights, e);
}

static bool run(const struct arguments *a, const struct internimage_config *c, FILE *log,
                struct error *e)
{
    struct train_options o = a->o;
    struct train_result r;
    struct internimage_config kept = *c;
    o.log = log;
    struct image_set *images = images_open(a->data, a->data_dir, true, e);
    struct image_set *test = images ? images_open(a->data, a->data_dir, false, e) : NULL;
    kept.num_classes = test ? images->classes : kept.num_classes;
    kept.image_size = o.view.size ? o.view.size : test ? images->height : 0;
    struct graph *g = test ? internimage_graph(&kept, 1, kept.image_size, kept.image_size, e) : NULL;
    float **weights = g ? weights_new(g, e) : NULL;
    bool ok = weights && train(&kept, images, test, &o, weights, &r, e);
    if (ok && r.finished)
        fprintf(stderr, "%.2f %% of the test images right, top five %.2f %%; %.0f images/s, %.0f s\n",
                100 * r.test_accuracy, 100 * r.test_top5, r.images_per_second, r.seconds);
    if (ok && r.finished && a->out)
        ok = a->half ? write_half(a, &kept, g, weights, test, e)
                     : weights_write(a->out, &kept, g, weights, e);
    if (g)
        weights_free(g, weights);
    graph_free(g);
    images_close(images);
    images_close(test);
    return ok;
}

static bool run_logged(const struct arguments *a, const struct internimage_config *c,
                       struct error *e)
{
    FILE *log = a->log ? fopen(a->log, a->o.resume ? "a" : "w") : stdout;
    if (!log)
        return fail(e, EXIT_USAGE, "%s: cannot be written", a->log);
    const bool ok = run(a, c, log, e);
    if (a->log)
        fclose(log);
    return ok;
}

int cmd_train(int argc, char **argv, struct error *e)
{
    struct arguments a = {.model = "pico", .engine = "opt", .o = train_defaults()};
    struct train_options *o = &a.o;
    struct internimage_config c;
    const char *epochs = NULL, *batch = NULL, *lr = NULL, *min_lr = NULL, *decay = NULL, *warmup = NULL,
               *drop = NULL, *smoothing = NULL, *ema = NULL, *clip = NULL, *seed = NULL, *threads = NULL,
               *size = NULL, *pad = NULL, *limit = NULL, *every = NULL, *stop = NULL;
    bool no_flip = false;
    const struct option_spec spec[] = {
        {"--data", &a.data, NULL, "fashion-mnist or cifar10"},
        {"--data-dir", &a.data_dir, NULL, "where its files are"},
        {"--model", &a.model, NULL, "pico (default), ... (internimage tables params)"},
        {"--out", &a.out, NULL, "weight file to write"},
        {"--half", NULL, &a.half, "as float16, a third of the size"},
        {"--log", &a.log, NULL, "JSON lines go there (default: stdout)"},
        {"--epochs", &epochs, NULL, "default 10"},
        {"--batch", &batch, NULL, "default 64"},
        {"--lr", &lr, NULL, "learning rate after the warm-up, default 2e-3"},
        {"--min-lr", &min_lr, NULL, "at the end of the cosine, default 1e-5"},
        {"--weight-decay", &decay, NULL, "default 0.05; vectors are not decayed"},
        {"--warmup", &warmup, NULL, "epochs, default 1"},
        {"--drop-path", &drop, NULL, "rate of the last block, default 0"},
        {"--label-smoothing", &smoothing, NULL, "default 0.1"},
        {"--ema", &ema, NULL, "decay of the average that is tested and kept, default 0: none"},
        {"--clip", &clip, NULL, "largest norm of the gradients, default 5; 0: any"},
        {"--size", &size, NULL, "images are scaled to this side, default: as they are"},
        {"--pad", &pad, NULL, "random crop by up to so many pixels, default 2"},
        {"--no-flip", NULL, &no_flip, "no mirrored images"},
        {"--limit", &limit, NULL, "use only so many training images"},
        {"--seed", &seed, NULL, "default 1"},
        {"--threads", &threads, NULL, "default: all"},
        {"--engine", &a.engine, NULL, "opt (default) or ref"},
        {"--checkpoint", &o->checkpoint, NULL, "file to write to and to resume from"},
        {"--checkpoint-every", &every, NULL, "seconds, default 60; also after every epoch"},
        {"--resume", NULL, &o->resume, "go on from the checkpoint, if there is one"},
        {"--stop-after", &stop, NULL, "steps, then a checkpoint and the end"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage train --data SET [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    int seed_number = 1, limit_number = 0, stop_number = 0;
    o->view.flip = !no_flip;
    if (plain > 0 || !a.data) {
        fail(e, EXIT_USAGE, plain ? "unexpected argument '%s'" : "give --data", argv[0]);
        return EXIT_USAGE;
    }
    if (strcmp(a.engine, "opt") && strcmp(a.engine, "ref"))
        fail(e, EXIT_USAGE, "--engine '%s': expected opt or ref", a.engine);
    o->engine = strcmp(a.engine, "ref") ? ENGINE_OPT : ENGINE_REF;
    bool ok = !e->text[0] && internimage_named(a.model, &c, e)
           && integer_from(epochs, "--epochs", 1, 1e6, &o->epochs, e)
           && integer_from(batch, "--batch", 1, 65536, &o->batch, e)
           && number_from(lr, "--lr", 0, 1e3, &o->lr, e) && number_from(min_lr, "--min-lr", 0, 1e3, &o->min_lr, e)
           && number_from(decay, "--weight-decay", 0, 1e3, &o->weight_decay, e)
           && number_from(warmup, "--warmup", 0, 1e6, &o->warmup, e)
           && number_from(drop, "--drop-path", 0, 0.99, &c.drop_path, e)
           && number_from(smoothing, "--label-smoothing", 0, 1, &o->label_smoothing, e)
           && number_from(ema, "--ema", 0, 0.9999999, &o->ema, e) && number_from(clip, "--clip", 0, 1e9, &o->clip, e)
           && integer_from(size, "--size", 8, 4096, &o->view.size, e)
           && integer_from(pad, "--pad", 0, 1024, &o->view.pad, e)
           && integer_from(limit, "--limit", 1, 1e9, &limit_number, e)
           && integer_from(seed, "--seed", 0, 1e9, &seed_number, e)
           && integer_from(threads, "--threads", 1, 1024, &o->threads, e)
           && number_from(every, "--checkpoint-every", 0, 1e9, &o->checkpoint_seconds, e)
           && integer_from(stop, "--stop-after", 1, 1e9, &stop_number, e);
    o->seed = (uint64_t)seed_number;
    o->train_limit = limit_number;
    o->stop_after = stop_number;
    return ok && run_logged(&a, &c, e) ? EXIT_MATCH : EXIT_USAGE;
}
