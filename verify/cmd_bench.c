/* internimage bench: what this machine can do, and how much of it a model uses. */
#include "bench.h"
#include "commands.h"
#include "json.h"
#include "options.h"
#include "table.h"

#include "opt/plan.h"
#include "opt/trainer.h"
#include "ref/internimage.h"
#include "ref/ref.h"
#include "ref/weights.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Single DCNv2 layers, 3x3, masks on; counted as the plain convolution's operations. */
static const struct layer {
    int channels, size, offset_groups;
} layers[] = {
    {64, 128, 1}, {128, 64, 1}, {256, 56, 1}, {256, 14, 1}, {512, 7, 1},
    {64, 128, 8}, {128, 64, 8}, {256, 56, 8}, {256, 14, 8}, {512, 7, 8},
};
enum { LAYERS = sizeof layers / sizeof *layers };

enum { MOST_REPEATS = 400, LEAST_REPEATS = 9 };

struct bench {
    const char *model, *isa, *size;
    enum gemm_choice gemm;
    int height, width, batch, threads;
    const struct layer *layer;          /* NULL: a model */
    bool profile, json, with_ref, train;
    double seconds;                     /* per case */
};

struct result {
    struct timing time;
    double flops, peak;                 /* per run; of the threads used, per second */
    double ref_seconds;                 /* 0: not measured */
    int threads, batch;
    size_t arena, weights;
    const char *isa;
};

static float **seeded_params(const struct graph *g)
{
    float **params = calloc((size_t)g->params + 1, sizeof *params);
    for (int i = 0; params && i < g->params; i++) {
        params[i] = malloc((size_t)shape_count(&g->param[i].shape) * sizeof(float));
        if (params[i])
            seeded_parameter(&g->param[i], 1, params[i]);
    }
    return params;
}

static void free_params(const struct graph *g, float **params)
{
    for (int i = 0; params && i < g->params; i++)
        free(params[i]);
    free(params);
}

static double ref_seconds(const struct graph *g, float *const *params, float *const *input,
                          struct error *e)
{
    struct ref32_run *r = ref32_run_new(g, e);
    if (!r)
        return 0;
    for (int i = 0; i < g->params; i++)
        memcpy(r->param[i], params[i], (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    for (int i = 0; i < g->nodes && g->node[i]->op == OP_input; i++)
        memcpy(r->value[i], input[i], (size_t)shape_count(&g->node[i]->shape) * sizeof(float));
    double start = bench_now();
    ref32_run_forward(r, NULL, NULL);
    double seconds = bench_now() - start;
    ref32_run_free(r);
    return seconds;
}

/* Runs of the model interleaved with peak measurements: both see the same machine. */
static void measure(struct plan *plan, const struct kernels *k, const struct bench *b,
                    const float *const *input, float *output, struct result *r)
{
    double seconds[MOST_REPEATS], start = bench_now();
    int n = 0;
    plan_run(plan, input, output);
    plan_run(plan, input, output);
    plan_profile(plan, b->profile);
    while (n < MOST_REPEATS && (n < LEAST_REPEATS || bench_now() - start < b->seconds)) {
        double before = bench_now();
        plan_run(plan, input, output);
        seconds[n++] = bench_now() - before;
        if (n % 4 == 1) {
            double peak = bench_peak(k, r->threads);
            r->peak = peak > r->peak ? peak : r->peak;
        }
    }
    r->time = timing_of(seconds, n);
}

static void print_profile(const struct plan *plan)
{
    struct table t = {0};
    double total = 0, shown = 0;
    const char *kind[64];
    int kinds = 0;
    for (int i = 0; i < plan_steps(plan); i++)
        total += plan_step(plan, i).seconds;
    table_row(&t, "step|ms|share|GFLOP/s|steps");
    for (int i = 0; i < plan_steps(plan); i++) {
        const char *name = plan_step(plan, i).kind;
        int k = 0;
        while (k < kinds && strcmp(kind[k], name))
            k++;
        if (k < kinds || kinds == 64)
            continue;
        kind[kinds++] = name;
        double seconds = 0, flops = 0;
        int count = 0;
        for (int s = i; s < plan_steps(plan); s++) {
            struct plan_step_info info = plan_step(plan, s);
            if (strcmp(info.kind, name))
                continue;
            seconds += info.seconds;
            flops += info.flops;
            count++;
        }
        shown += seconds;
        table_row(&t, "%s|%.3f|%.1f %%|%.1f|%d", name, 1e3 * seconds, 100 * seconds / total,
                  1e-9 * flops / seconds, count);
    }
    table_row(&t, "all|%.3f|%.1f %%||%d", 1e3 * total, 100 * shown / total, plan_steps(plan));
    table_print(&t, stdout);
    table_free(&t);
    putchar('\n');
}

static struct graph *layer_graph(const struct layer *l, int batch, struct error *e)
{
    struct graph *g = graph_new();
    struct attr a = attr_default();
    const int64_t n = batch, s = l->size;
    if (!g)
        return NULL;
    a.out_channels = l->channels;
    a.offset_groups = l->offset_groups;
    a.y = a.x = (struct window){.kernel = 3, .stride = 1, .pad = 1, .dilation = 1};
    struct node *in[] = {
        graph_input(g, "input", shape_of(4, n, (int64_t)l->channels, s, s)),
        graph_input(g, "offset", shape_of(4, n, (int64_t)l->offset_groups * 18, s, s)),
        graph_input(g, "mask", shape_of(4, n, (int64_t)l->offset_groups * 9, s, s)),
    };
    if (graph_add(g, OP_dcnv2, "dcnv2", a, in, 3))
        return g;
    fail(e, g->error.code, "%s", g->error.text);
    graph_free(g);
    return NULL;
}

static struct graph *case_graph(const struct bench *b, int batch, struct error *e)
{
    struct internimage_config c;
    if (b->layer)
        return layer_graph(b->layer, batch, e);
    return internimage_named(b->model, &c, e)
         ? internimage_graph(&c, batch, b->height, b->width, e) : NULL;
}

/* Seeded values for every input; offsets within +-2 pixels. */
static bool seeded_inputs(const struct graph *g, float **input)
{
    int count = 0;
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = g->node[i];
        const int64_t values = shape_count(&n->shape);
        if (n->op != OP_input)
            continue;
        float *v = input[count++] = malloc((size_t)values * sizeof *v);
        if (!v)
            return false;
        seeded_uniform(n->name, 1, values, v);
        for (int64_t k = 0; !strcmp(n->name, "offset") && k < values; k++)
            v[k] *= 2;
    }
    return true;
}

/* Forward and backward with every value kept; three times the operations of forward. */
static bool bench_train(const struct bench *b, const struct graph *g, float *const *params,
                        float *const *input, struct result *r, struct error *e)
{
    struct trainer *t = trainer_new(g, (struct trainer_options){b->isa, r->threads}, e);
    const struct node *last = g->node[g->nodes - 1];
    float *d_output = calloc((size_t)shape_count(&last->shape), sizeof *d_output);
    const struct kernels *k = kernels_select(b->isa, e);
    double seconds[MOST_REPEATS], start = bench_now();
    bool ok = t && d_output && k;
    int n = 0;
    for (int i = 0; ok && i < g->params; i++)
        memcpy(trainer_run(t)->param[i], params[i],
               (size_t)shape_count(&g->param[i].shape) * sizeof(float));
    if (ok) {
        memcpy(trainer_run(t)->value[0], input[0],
               (size_t)shape_count(&g->node[0]->shape) * sizeof(float));
        d_output[0] = 1;
        r->flops *= 3;
        r->isa = k->isa;
        trainer_forward(t);
        ok = trainer_backward(t, d_output, e);
    }
    while (ok && n < MOST_REPEATS && (n < 3 || bench_now() - start < b->seconds)) {
        const double peak = bench_peak(k, r->threads), before = bench_now();
        r->peak = peak > r->peak ? peak : r->peak;
        trainer_forward(t);
        ok = trainer_backward(t, d_output, e);
        seconds[n++] = bench_now() - before;
    }
    if (ok)
        r->time = timing_of(seconds, n);
    trainer_free(t);
    free(d_output);
    return ok;
}

static bool bench_case(const struct bench *b, int threads, int batch, struct result *r,
                       struct error *e)
{
    struct graph *g = case_graph(b, batch, e);
    if (!g)
        return false;
    float **params = seeded_params(g), *input[MAX_INPUTS] = {0};
    float *output = malloc((size_t)shape_count(&g->node[g->nodes - 1]->shape) * sizeof *output);
    bool ok = params && output && seeded_inputs(g, input);
    if (ok && b->train) {
        *r = (struct result){.flops = 2 * graph_macs(g), .threads = threads, .batch = batch};
        ok = bench_train(b, g, params, input, r, e);
    }
    struct plan *plan = ok && !b->train ? plan_new(g, params, (struct plan_options){
              .isa = b->isa, .threads = threads, .gemm = b->gemm}, e) : NULL;
    ok = ok && (b->train || plan);
    if (plan) {
        *r = (struct result){.flops = 2 * graph_macs(g), .threads = threads, .batch = batch,
                             .arena = plan_arena_bytes(plan), .weights = plan_weight_bytes(plan),
                             .isa = plan_isa(plan)};
        measure(plan, kernels_select(b->isa, e), b, (const float *const *)input, output, r);
        if (b->with_ref)
            r->ref_seconds = ref_seconds(g, params, input, e);
        if (b->profile && !b->json)
            print_profile(plan);
    }
    plan_free(plan);
    for (int i = 0; i < MAX_INPUTS; i++)
        free(input[i]);
    free(output);
    free_params(g, params);
    graph_free(g);
    return ok;
}

static void add_row(struct table *t, const struct bench *b, const struct result *r)
{
    char ref[32] = "";
    if (r->ref_seconds > 0)
        snprintf(ref, sizeof ref, "%.1fx", r->ref_seconds / r->time.median);
    table_row(t, "%s|%s|%s|%d|%d|%.2f|%.2f|%.1f|%.1f|%.1f %%|%s|%.1f|%.1f", b->model, b->size, r->isa, r->threads, r->batch, 1e3 * r->time.median, 1e3 * r->time.least,
              1e-9 * r->flops / r->time.median, 1e-9 * r->peak,
              100 * r->flops / r->time.median / r->peak, ref, (double)r->arena / 1e6,
              (double)r->weights / 1e6);
}

/* google-benchmark's schema, so its compare.py and dashboards read it. */
static void add_json(struct json *j, const struct bench *b, const struct result *r)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s/batch:%d/threads:%d/isa:%s", b->model, b->size,
             r->batch, r->threads, r->isa);
    json_open(j, NULL, '{');
    json_string(j, "name", name);
    json_string(j, "run_name", name);
    json_string(j, "run_type", "aggregate");
    json_string(j, "aggregate_name", "median");
    json_int(j, "iterations", r->time.repeats);
    json_int(j, "threads", r->threads);
    json_number(j, "real_time", 1e3 * r->time.median);
    json_number(j, "cpu_time", 1e3 * r->time.median * r->threads);
    json_string(j, "time_unit", "ms");
    json_number(j, "min_time", 1e3 * r->time.least);
    json_number(j, "flops_per_second", r->flops / r->time.median);
    json_number(j, "peak_flops_per_second", r->peak);
    json_number(j, "share_of_peak", r->flops / r->time.median / r->peak);
    json_close(j, '}');
}

static void print_machine(const struct bench *b, struct error *e)
{
    const struct kernels *k = kernels_select(b->isa, e);
    for (int t = 1; k && t <= b->threads; t++) {
        double peak = 0;
        for (int i = 0; i < 20; i++) {
            double now = bench_peak(k, t);
            peak = now > peak ? now : peak;
        }
        printf("%d thread%s: FMA peak %.1f GFLOP/s (%s), memory read %.1f GB/s\n", t,
               t == 1 ? " " : "s", 1e-9 * peak, k->isa, 1e-9 * bench_bandwidth(t));
    }
    putchar('\n');
}

/* The cases of one model or layer. */
static bool run_case(const struct bench *b, bool all_threads, bool all_batches, struct table *t,
                     struct json *j, struct error *e)
{
    bool ok = true;
    for (int threads = all_threads ? 1 : b->threads; ok && threads <= b->threads; threads++)
        for (int batch = all_batches ? 1 : b->batch; ok && batch <= b->batch;
             batch = batch < b->batch ? b->batch : batch + 1) {
            struct result r;
            ok = bench_case(b, threads, batch, &r, e);
            if (ok && b->json)
                add_json(j, b, &r);
            else if (ok)
                add_row(t, b, &r);
        }
    return ok;
}

static bool run_layers(struct bench *b, bool all_threads, struct table *t, struct json *j,
                       struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && i < LAYERS; i++) {
        char model[64], size[32];
        b->layer = &layers[i];
        snprintf(model, sizeof model, "dcnv2 %d->%d og%d", layers[i].channels, layers[i].channels,
                 layers[i].offset_groups);
        snprintf(size, sizeof size, "%dx%d", layers[i].size, layers[i].size);
        b->model = model;
        b->size = size;
        b->batch = 1;
        ok = run_case(b, all_threads, false, t, j, e);
    }
    return ok;
}

static bool run_cases(struct bench *b, bool all_threads, bool all_batches, struct error *e)
{
    struct table t = {0};
    struct json j = {.to = stdout, .first = true};
    bool ok;
    if (b->json) {
        json_open(&j, NULL, '{');
        json_open(&j, "context", '{');
        json_int(&j, "num_cpus", omp_get_num_procs());
        json_string(&j, "library_build_type", "release");
        json_close(&j, '}');
        json_open(&j, "benchmarks", '[');
    } else {
        print_machine(b, e);
    }
    table_row(&t, "model|size|isa|threads|batch|median ms|min ms|GFLOP/s|peak|of peak|over ref|"
                  "arena MB|weights MB");
    ok = !strcmp(b->model, "dcnv2") ? run_layers(b, all_threads, &t, &j, e)
                                    : run_case(b, all_threads, all_batches, &t, &j, e);
    if (ok && !b->json)
        table_print(&t, stdout);
    if (b->json) {
        json_close(&j, ']');
        json_close(&j, '}');
    }
    table_free(&t);
    return ok;
}

int cmd_bench(int argc, char **argv, struct error *e)
{
    const char *threads = NULL, *batch = NULL, *seconds = "2", *model = "internimage_t";
    const char *gemm = "auto";
    struct bench b = {.size = "224x224"};
    const struct option_spec spec[] = {
        {"--filter", &model, NULL, "model (pico t s b l xl h g, internimage_t...) or dcnv2: layers"},
        {"--size", &b.size, NULL, "HxW (default 224x224)"},
        {"--threads", &threads, NULL, "only with so many (default: 1 to all)"},
        {"--batch", &batch, NULL, "only this batch (default: 1 and 8)"},
        {"--isa", &b.isa, NULL, "generic, avx2 or avx512 (default: the best there is)"},
        {"--gemm", &gemm, NULL, "own, onednn or auto: who multiplies matrices (default auto)"},
        {"--seconds", &seconds, NULL, "per case (default 2)"},
        {"--profile", NULL, &b.profile, "time per kind of step"},
        {"--ref", NULL, &b.with_ref, "also time the scalar reference"},
        {"--train", NULL, &b.train, "forward and backward, as in training"},
        {"--json", NULL, &b.json, "google-benchmark's schema"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage bench [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    b.model = model;
    b.gemm = !strcmp(gemm, "onednn") ? GEMM_ONEDNN : !strcmp(gemm, "own") ? GEMM_OWN : GEMM_AUTO;
    if (b.gemm == GEMM_AUTO && strcmp(gemm, "auto")) {
        fail(e, EXIT_USAGE, "--gemm '%s' is none of own, onednn, auto", gemm);
        return EXIT_USAGE;
    }
    b.threads = threads ? atoi(threads) : omp_get_num_procs();
    b.batch = batch ? atoi(batch) : 8;
    b.seconds = atof(seconds);
    if (plain > 0 || sscanf(b.size, "%dx%d", &b.height, &b.width) != 2 || b.threads < 1
        || b.threads > 1024 || b.batch < 1 || b.batch > 4096 || !(b.seconds >= 0)) {
        fail(e, EXIT_USAGE, "--size is HxW, --threads and --batch are positive numbers");
        return EXIT_USAGE;
    }
    return run_cases(&b, !threads, !batch, e) ? EXIT_MATCH : EXIT_USAGE;
}
