/* internimage robustness: do predictions survive translation, rotation and scaling (the
 * paper's figure 8)? Consistency is the share of test images that keep the label they are
 * given unchanged, right or wrong. */
#include "warp.h"

#include "datasets/images.h"
#include "datasets/weights_file.h"
#include "opt/plan.h"
#include "verify/commands.h"
#include "verify/options.h"
#include "verify/table.h"
#include "verify/train/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 50, MOST_MODELS = 6 };

/* The kinds and their steps: the paper's rotations, its translations as fractions of the
 * image (0 to 64 of 224 pixels), its scalings up to where an object still fits. */
static const struct kind {
    const char *name, *unit;
    double first, step, last;
} kinds[] = {
    {"translation", "pixels", 0, 1, 8}, {"rotation", "degrees", 0, 5, 45},
    {"scaling", "times", 0.5, 0.125, 1.5},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

/* In one of four directions, or one of two senses, by turns. */
static struct warp warp_of(const struct kind *k, double amount, int64_t index)
{
    struct warp w = {.scale = 1};
    const double sign = index % 2 ? 1 : -1;
    if (k == &kinds[0] && index % 4 < 2)
        w.dx = sign * amount;
    else if (k == &kinds[0])
        w.dy = sign * amount;
    else if (k == &kinds[1])
        w.degrees = sign * amount;
    else
        w.scale = amount;
    return w;
}

struct model {
    char name[64];
    struct graph *graph;
    float **params;
    struct plan *plan;
    int classes, size;          /* size: see struct view */
    int *plain;                 /* labels of the unchanged images */
};

static bool model_open(struct model *m, const char *path, const struct image_set *s,
                       int64_t images, struct error *e)
{
    struct internimage_config c;
    const char *slash = strrchr(path, '/');
    snprintf(m->name, sizeof m->name, "%s", slash ? slash + 1 : path);
    m->name[strcspn(m->name, ".")] = 0;
    if (!weights_config(path, &c, e))
        return false;
    m->size = c.image_size == s->height ? 0 : c.image_size;
    m->graph = internimage_graph(&c, BATCH, m->size ? m->size : s->height,
                                 m->size ? m->size : s->width, e);
    m->params = m->graph ? weights_new(m->graph, e) : NULL;
    if (!m->params || !weights_read(path, m->graph, m->params, e))
        return false;
    m->classes = c.num_classes;
    m->plan = plan_new(m->graph, m->params, (struct plan_options){0}, e);
    m->plain = calloc((size_t)images, sizeof *m->plain);
    return m->plan && (m->plain || fail(e, EXIT_USAGE, "out of memory for predictions"));
}

static void model_close(struct model *m)
{
    plan_free(m->plan);
    if (m->graph)
        weights_free(m->graph, m->params);
    graph_free(m->graph);
    free(m->plain);
}

/* Labels of images [first, first + count), count <= BATCH, already in `input`. */
static void predict(struct model *m, const float *input, float *logits, int *label)
{
    plan_run(m->plan, &input, logits);
    for (int i = 0; i < BATCH; i++) {
        const float *row = logits + (size_t)i * m->classes;
        label[i] = 0;
        for (int k = 1; k < m->classes; k++)
            label[i] = row[k] > row[label[i]] ? k : label[i];
    }
}

struct score {
    int64_t same, right;
};

struct buffers {
    struct view view;
    size_t inputs;              /* values of one image's input */
    unsigned char *pixel, *warped;
    float *input, *logits;
};

static bool fill_batch(const struct image_set *s, const struct kind *k, double amount,
                       int64_t first, int count, const struct buffers *b, struct error *e)
{
    for (int i = 0; i < count; i++) {
        const struct warp w = k ? warp_of(k, amount, first + i) : (struct warp){.scale = 1};
        if (!images_get(s, first + i, b->pixel, e))
            return false;
        warp_image(&w, s->channels, s->height, s->width, b->pixel, b->warped);
        image_view(s, &b->view, b->warped, 0, b->input + (size_t)i * b->inputs);
    }
    return true;
}

/* All models on all images under one warp; k NULL: unchanged, which fills `plain`. */
static bool score_all(struct model *m, int models, const struct image_set *s, int64_t images,
                      const struct kind *k, double amount, const struct buffers *b,
                      struct score *score, struct error *e)
{
    memset(score, 0, (size_t)models * sizeof *score);
    for (int64_t first = 0; first < images; first += BATCH) {
        const int count = (int)(images - first < BATCH ? images - first : BATCH);
        int label[BATCH];
        if (!fill_batch(s, k, amount, first, count, b, e))
            return false;
        for (int i = 0; i < models; i++) {
            predict(&m[i], b->input, b->logits, label);
            for (int n = 0; n < count; n++) {
                if (!k)
                    m[i].plain[first + n] = label[n];
                score[i].same += label[n] == m[i].plain[first + n];
                score[i].right += label[n] == s->label[first + n];
            }
        }
    }
    return true;
}

static void add_line(struct table *t, FILE *plot, const struct kind *k, double amount,
                     const struct score *score, int models, int64_t images)
{
    char cells[440] = "";
    for (int i = 0; i < models; i++)
        snprintf(cells + strlen(cells), sizeof cells - strlen(cells), "|%.2f|%.2f",
                 100.0 * (double)score[i].same / (double)images,
                 100.0 * (double)score[i].right / (double)images);
    table_row(t, "%s|%g%s", k->name, amount, cells);
    for (char *c = cells; plot && *c; c++)
        *c = *c == '|' ? ' ' : *c;
    if (plot)
        fprintf(plot, "%g%s\n", amount, cells);
}

static int steps_of(const struct kind *k)
{
    return (int)lround((k->last - k->first) / k->step) + 1;
}

static bool measure(struct model *m, int models, const struct image_set *s, int64_t images,
                    const struct buffers *b, FILE *plot, struct table *t, struct error *e)
{
    struct score score[MOST_MODELS];
    int64_t total = 0, done = 0;
    for (int k = 0; k < KINDS; k++)
        total += steps_of(&kinds[k]);
    struct progress p = progress_start("warps", total, true);
    bool ok = score_all(m, models, s, images, NULL, 0, b, score, e);
    for (int k = 0; ok && k < KINDS; k++) {
        if (plot)
            fprintf(plot, "%s# %s, %s; consistency and accuracy of each model\n", k ? "\n\n" : "",
                    kinds[k].name, kinds[k].unit);
        for (int i = 0; ok && i < steps_of(&kinds[k]); i++) {
            const double amount = kinds[k].first + i * kinds[k].step;
            ok = score_all(m, models, s, images, &kinds[k], amount, b, score, e);
            if (ok)
                add_line(t, plot, &kinds[k], amount, score, models, images);
            progress_show(&p, ++done, "%s", kinds[k].name);
        }
    }
    progress_stop(&p);
    return ok;
}

static bool with_buffers(struct model *m, int models, const struct image_set *s, int64_t images,
                         const char *plot_path, struct error *e)
{
    const size_t area = (size_t)s->height * s->width;
    struct table t = {0};
    int classes = 1;
    char head[440] = "";
    for (int i = 0; i < models; i++) {
        classes = m[i].classes > classes ? m[i].classes : classes;
        snprintf(head + strlen(head), sizeof head - strlen(head), "|%.40s: same|right", m[i].name);
    }
    const size_t side = (size_t)m[0].size, inputs = 3 * (side ? side * side : area);
    const struct buffers b = {{.size = m[0].size}, inputs, malloc(3 * area), malloc(3 * area),
                              calloc(BATCH * inputs, sizeof(float)),
                              malloc((size_t)BATCH * classes * sizeof(float))};
    FILE *plot = plot_path ? fopen(plot_path, "w") : NULL;
    bool ok = (b.pixel && b.warped && b.input && b.logits)
           || fail(e, EXIT_USAGE, "out of memory for a batch");
    ok = ok && (plot || !plot_path || fail(e, EXIT_BAD_FILE, "%s: cannot be written", plot_path));
    table_row(&t, "kind|amount%s", head);
    ok = ok && measure(m, models, s, images, &b, plot, &t, e);
    if (ok) {
        table_print(&t, stdout);
        printf("\n%s, %lld test images, %%; same: the label given to the unchanged image.\n",
               s->name, (long long)images);
    }
    if (plot)
        fclose(plot);
    table_free(&t);
    free(b.pixel);
    free(b.warped);
    free(b.input);
    free(b.logits);
    return ok;
}

int cmd_robustness(int argc, char **argv, struct error *e)
{
    const char *data = NULL, *data_dir = NULL, *images = "2000", *plot = NULL;
    const struct option_spec spec[] = {
        {"--data", &data, NULL, "test images: fashion-mnist or cifar10"},
        {"--data-dir", &data_dir, NULL, "where its files are"},
        {"--images", &images, NULL, "so many of them (default 2000)"},
        {"--plot", &plot, NULL, "file for gnuplot (docs/robustness.gp)"},
        {0},
    };
    struct model m[MOST_MODELS] = {0};
    int plain = options_parse(argc, argv, spec, "internimage robustness --data SET WEIGHTS...", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    const long count = strtol(images, NULL, 10);
    if (!data || plain < 1 || plain > MOST_MODELS || count < 1) {
        fail(e, EXIT_USAGE, "give --data and 1 to %d weight files, --images positive", MOST_MODELS);
        return EXIT_USAGE;
    }
    struct image_set *s = images_open(data, data_dir, false, e);
    const int64_t used = s && count > s->count ? s->count : count;
    bool ok = s != NULL;
    for (int i = 0; ok && i < plain; i++)
        ok = model_open(&m[i], argv[i], s, used, e)
          && (m[i].size == m[0].size
              || fail(e, EXIT_USAGE, "%s and %s were trained on images of different sizes", argv[0],
                      argv[i]));
    ok = ok && with_buffers(m, plain, s, used, plot, e);
    for (int i = 0; i < plain; i++)
        model_close(&m[i]);
    images_close(s);
    return ok ? EXIT_MATCH : EXIT_USAGE;
}
