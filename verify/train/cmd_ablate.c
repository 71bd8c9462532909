/* internimage ablate: the paper's ablations as changed configurations, each trained with
 * the same budget and several seeds. */
#include "ablate.h"
#include "train.h"

#include "datasets/weights_file.h"
#include "verify/commands.h"
#include "verify/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much is trained. */
struct budget {
    const char *name, *help;
    int64_t images, test_images;        /* 0: all there are */
    int epochs, batch, seeds;
};

static const struct budget budgets[] = {
    {"ci", "seconds", 128, 64, 1, 16, 2},
    {"small", "an hour on one core", 20000, 0, 3, 32, 5},
    {"full", "two days on one core", 0, 0, 20, 64, 5},
};

struct arguments {
    const char *data, *data_dir, *model, *out, *keep;
    char **names;                       /* only these; NULL: the whole grid */
    int name_count, part, parts;
    struct budget budget;
    double lr;
};

static bool is_wanted(const struct arguments *a, const char *name)
{
    for (int i = 0; i < a->name_count; i++)
        if (!strcmp(a->names[i], name))
            return true;
    return a->name_count == 0;
}

/* What decides the numbers besides ablation and seed. */
static void describe(const struct arguments *a, const struct image_set *images, char *plan,
                     size_t size)
{
    snprintf(plan, size, "%s on %s, %lld images x %d epochs, batch %d, learning rate %g", a->model,
             a->data, (long long)(a->budget.images ? a->budget.images : images->count),
             a->budget.epochs, a->budget.batch, a->lr);
}

static bool same_plan(const struct ablate_runs *done, const char *plan, const char *path,
                      struct error *e)
{
    for (int i = 0; i < done->count; i++)
        if (strcmp(done->run[i].plan, plan))
            return fail(e, EXIT_USAGE, "%s holds runs of '%s', not of '%s': give another --out",
                        path, done->run[i].plan, plan);
    return true;
}

/* Parameters, multiply-accumulates and the time of a step. */
static bool measure(struct ablate_run *r, const struct internimage_config *c, int batch, int size,
                    struct error *e)
{
    struct graph *g = internimage_graph(c, 1, size, size, e);
    if (!g)
        return false;
    r->parameters = graph_parameters(g);
    r->mmacs = graph_macs(g) / 1e6;
    graph_free(g);
    r->step_ms = 1e3 * ablate_step_seconds(c, batch, size, e);
    return r->step_ms > 0;
}

/* The weights as <directory>/<ablation>-<seed>.h5. */
static bool keep(const char *directory, const struct internimage_config *c,
                 const struct ablate_run *r, const struct graph *g, float *const *weights,
                 struct error *e)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s-%llu.h5", directory, r->name, (unsigned long long)r->seed);
    return weights_write(path, c, g, weights, e);
}

static bool train_one(const struct arguments *a, const struct internimage_config *c,
                      const struct image_set *images, const struct image_set *test,
                      struct ablate_run *r, struct error *e)
{
    struct train_options o = train_defaults();
    struct train_result result;
    struct error why = {0};
    char *log = NULL;
    size_t size;
    o.epochs = a->budget.epochs;
    o.batch = a->budget.batch;
    o.lr = a->lr;
    o.warmup = 0.1 * a->budget.epochs;
    o.seed = r->seed;
    o.threads = 1;
    o.train_limit = a->budget.images;
    o.test_limit = a->budget.test_images;
    o.test_every = 1;
    o.log = open_memstream(&log, &size);
    if (!o.log)
        return fail(e, EXIT_USAGE, "out of memory for a log");
    struct graph *g = a->keep ? internimage_graph(c, 1, images->height, images->width, e) : NULL;
    float **weights = g ? weights_new(g, e) : NULL;
    bool ok = train(c, images, test, &o, weights, &result, &why);
    fclose(o.log);
    if (ok && weights && !keep(a->keep, c, r, g, weights, &why))
        ok = false;
    if (g)
        weights_free(g, weights);
    graph_free(g);
    ablate_curve(r, log);
    free(log);
    r->diverged = !ok && why.code == EXIT_MISMATCH;     /* a loss that is no number */
    r->accuracy = ok ? result.test_accuracy : NAN;
    r->loss = ok ? result.loss : NAN;
    r->seconds = ok ? result.seconds : NAN;
    return ok || r->diverged || fail(e, why.code, "%s", why.text);
}

static bool run_one(const struct arguments *a, const struct ablation *ablation, uint64_t seed,
                    const char *plan, const struct image_set *images,
                    const struct image_set *test, struct error *e)
{
    struct internimage_config c;
    struct ablate_run r = {.seed = seed};
    snprintf(r.name, sizeof r.name, "%s", ablation->name);
    snprintf(r.plan, sizeof r.plan, "%s", plan);
    if (!internimage_named(a->model, &c, e))
        return false;
    c.num_classes = images->classes;
    c.image_size = images->height;
    fprintf(stderr, "%s, seed %llu\n", r.name, (unsigned long long)seed);
    return ablation_apply(ablation, &c, e)
        && measure(&r, &c, a->budget.batch, images->height, e)
        && train_one(a, &c, images, test, &r, e) && ablate_append(a->out, &r, e);
}

/* Seed by seed through the whole grid: cut short, every ablation has as many runs. */
static bool run_all(const struct arguments *a, const struct image_set *images,
                    const struct image_set *test, struct error *e)
{
    char plan[192];
    int index = 0;
    describe(a, images, plan, sizeof plan);
    for (int seed = 1; seed <= a->budget.seeds; seed++)
        for (const struct ablation *one = ablations; one->name; one++) {
            struct ablate_runs done;
            if (!is_wanted(a, one->name) || index++ % a->parts != a->part - 1)
                continue;
            if (!ablate_read(a->out, &done, e))
                return false;
            const bool has = ablate_has(&done, one->name, (uint64_t)seed);
            const bool same = same_plan(&done, plan, a->out, e);
            ablate_runs_free(&done);
            if (!same || (!has && !run_one(a, one, (uint64_t)seed, plan, images, test, e)))
                return false;
        }
    return true;
}

static bool train_grid(const struct arguments *a, struct error *e)
{
    struct image_set *images = images_open(a->data, a->data_dir, true, e);
    struct image_set *test = images ? images_open(a->data, a->data_dir, false, e) : NULL;
    bool ok = test != NULL;
    for (int i = 0; ok && i < a->name_count; i++)
        ok = ablation_named(a->names[i], e) != NULL;
    ok = ok && run_all(a, images, test, e);
    images_close(images);
    images_close(test);
    return ok;
}

static bool show(const char *path, bool plot, struct error *e)
{
    struct ablate_runs runs;
    if (!ablate_read(path, &runs, e))
        return false;
    if (!runs.count)
        fail(e, EXIT_BAD_FILE, "%s: no finished runs", path);
    else if (plot)
        ablate_plot_data(&runs, stdout);
    else
        ablate_table(&runs, stdout);
    ablate_runs_free(&runs);
    return !e->text[0];
}

static bool set_int(const char *text, const char *option, int *out, struct error *e)
{
    char *end;
    const long value = text ? strtol(text, &end, 10) : *out;
    if (text && (*end || value < 1 || value > 1 << 24))
        return fail(e, EXIT_USAGE, "%s '%s': expected a positive integer", option, text);
    *out = (int)value;
    return true;
}

static bool set_budget(const char *name, struct budget *b, struct error *e)
{
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++)
        if (!strcmp(budgets[i].name, name)) {
            *b = budgets[i];
            return true;
        }
    return fail(e, EXIT_USAGE, "--budget '%s': there are ci, small and full", name);
}

static bool set_part(const char *text, struct arguments *a, struct error *e)
{
    a->part = a->parts = 1;
    return !text
        || (sscanf(text, "%d/%d", &a->part, &a->parts) == 2 && a->part >= 1 && a->part <= a->parts)
        || fail(e, EXIT_USAGE, "--part '%s': expected 1/2, 2/2, ...", text);
}

int cmd_ablate(int argc, char **argv, struct error *e)
{
    struct arguments a = {.model = "pico", .out = "results/ablations.jsonl", .names = argv};
    const char *budget = "small", *part = NULL, *images = NULL, *epochs = NULL, *batch = NULL;
    const char *seeds = NULL, *lr = "2e-3";
    bool table = false, plot = false;
    const struct option_spec spec[] = {
        {"--data", &a.data, NULL, "fashion-mnist or cifar10"},
        {"--data-dir", &a.data_dir, NULL, "where its files are"},
        {"--model", &a.model, NULL, "what is changed, default pico"},
        {"--budget", &budget, NULL, "ci (seconds), small (default), full (days)"},
        {"--images", &images, NULL, "of the training set, the first so many"},
        {"--epochs", &epochs, NULL, "these three as the budget has them otherwise"},
        {"--batch", &batch, NULL, "images in a step"},
        {"--seeds", &seeds, NULL, "how many, from 1 on"},
        {"--lr", &lr, NULL, "learning rate, default 2e-3"},
        {"--part", &part, NULL, "1/2: every second run, for one of two processes"},
        {"--out", &a.out, NULL, "finished runs, read and appended to"},
        {"--keep", &a.keep, NULL, "directory for the weights, ABLATION-SEED.h5"},
        {"--table", NULL, &table, "train nothing, print the table of --out"},
        {"--plot", NULL, &plot, "the same for gnuplot (docs/ablations.gp)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec,
                              "internimage ablate --data SET [ABLATION ...] [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (table || plot)
        return show(a.out, plot, e) ? EXIT_MATCH : EXIT_USAGE;
    int limit = 0;
    a.name_count = plain;
    a.lr = strtod(lr, NULL);
    if (!a.data || !(a.lr > 0))
        fail(e, EXIT_USAGE, a.data ? "--lr '%s': expected a positive number" : "give --data", lr);
    bool ok = !e->text[0] && set_budget(budget, &a.budget, e) && set_part(part, &a, e)
           && set_int(images, "--images", images ? &limit : &a.budget.seeds, e)
           && set_int(epochs, "--epochs", &a.budget.epochs, e)
           && set_int(batch, "--batch", &a.budget.batch, e)
           && set_int(seeds, "--seeds", &a.budget.seeds, e);
    a.budget.images = images ? limit : a.budget.images;
    return ok && train_grid(&a, e) ? EXIT_MATCH : EXIT_USAGE;
}
