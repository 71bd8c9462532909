/* internimage bench: what this machine can do, and how much of it a case uses; and the
 * gates that tell whether it changed. */
#include "count.h"
#include "report.h"

#include "verify/commands.h"
#include "verify/options.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench {
    const char *filter;
    struct subject_spec spec;           /* threads, batch: the most */
    bool all_threads, all_batches;
    enum report_format format;
    struct measure_options measure;
};

static void print_machine(const struct bench *b, struct error *e)
{
    const struct kernels *k = kernels_select(b->spec.isa, e);
    for (int t = 1; k && t <= b->spec.threads; t++) {
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

static bool bench_case(const struct bench *b, const struct subject_spec *spec,
                       struct results *list, struct error *e)
{
    struct subject *s = subject_new(spec, e);
    struct result *r = s ? results_add(list) : NULL;
    if (!r) {
        subject_free(s);
        return false;
    }
    *r = (struct result){.spec = *spec, .flops = subject_flops(s), .bytes = subject_bytes(s),
                         .yardstick = b->measure.yardstick};
    r->spec.isa = subject_isa(s);
    subject_size(s, &r->height, &r->width);
    subject_label(s, r->label, sizeof r->label);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s", r->label);
    const struct plan *plan = subject_plan(s);
    if (plan) {
        r->arena = plan_arena_bytes(plan);
        r->weights = plan_weight_bytes(plan);
    }
    const bool ok = measure(s, spec, &b->measure, &r->m, e);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (ok && plan && b->measure.profile && b->format == REPORT_TABLE)
        report_profile(plan);
    subject_free(s);
    return ok;
}

/* One name with the threads and batches asked for; of batches the ends only. */
static bool bench_name(const struct bench *b, const char *name, struct results *list,
                       struct error *e)
{
    struct subject_spec spec = b->spec;
    const bool layer = strcmp(name, b->filter) != 0;    /* one of a list: batch 1 alone */
    spec.name = name;
    for (int t = b->all_threads ? 1 : b->spec.threads; t <= b->spec.threads; t++) {
        spec.threads = t;
        spec.batch = b->all_batches ? 1 : b->spec.batch;
        if (!bench_case(b, &spec, list, e))
            return false;
        spec.batch = b->spec.batch;
        if (b->all_batches && !layer && spec.batch > 1 && !bench_case(b, &spec, list, e))
            return false;
    }
    return true;
}

static bool bench_all(const struct bench *b, struct results *list, struct error *e)
{
    const char *name;
    if (b->format == REPORT_TABLE)
        print_machine(b, e);
    for (int i = 0; (name = subject_names(b->filter, i)); i++)
        if (!bench_name(b, name, list, e))
            return false;
    return true;
}

/* The index of `text` among the names; -1 after filling *e. */
static int choice(const char *option, const char *text, const char *const *names, int count,
                  struct error *e)
{
    char all[128] = "";
    for (int i = 0; i < count; i++) {
        if (!strcmp(text, names[i]))
            return i;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    }
    fail(e, EXIT_USAGE, "%s '%s' is none of %s", option, text, all);
    return -1;
}

/* The options as text, before they are understood. */
struct arguments {
    const char *size, *threads, *batch, *seconds, *rounds, *gemm, *format, *yardstick;
    bool json, train, count;
};

static bool understand(const struct arguments *a, struct bench *b, struct error *e)
{
    static const char *const gemms[] = {"auto", "own", "onednn"};
    const int gemm = choice("--gemm", a->gemm, gemms, 3, e);
    const int format = choice("--format", a->json ? "google" : a->format, report_names,
                              REPORT_FORMATS, e);
    const int yardstick = choice("--yardstick", a->yardstick, yardstick_names, YARDSTICKS, e);
    if (gemm < 0 || format < 0 || yardstick < 0)
        return false;
    b->spec.gemm = (enum gemm_choice)gemm;
    b->format = (enum report_format)format;
    b->measure.yardstick = (enum yardstick_kind)yardstick;
    b->spec.threads = a->threads ? atoi(a->threads) : omp_get_num_procs();
    b->spec.batch = a->batch ? atoi(a->batch) : 8;
    b->spec.work = a->train ? WORK_TRAIN : WORK_FORWARD;
    b->all_threads = !a->threads;
    b->all_batches = !a->batch;
    b->measure.seconds = atof(a->seconds);
    b->measure.rounds = atoi(a->rounds);
    if (sscanf(a->size, "%dx%d", &b->spec.height, &b->spec.width) != 2 || b->spec.threads < 1
        || b->spec.threads > 1024 || b->spec.batch < 1 || b->spec.batch > 4096
        || !(b->measure.seconds >= 0))
        return fail(e, EXIT_USAGE, "--size is HxW, --threads and --batch are positive numbers");
    if (b->measure.rounds < 1 || b->measure.rounds > MOST_ROUNDS)
        return fail(e, EXIT_USAGE, "--rounds is 1 to %d", MOST_ROUNDS);
    return true;
}

int cmd_bench(int argc, char **argv, struct error *e)
{
    struct bench b = {.filter = "internimage_t"};
    struct arguments a = {.size = "224x224", .seconds = "2", .rounds = "1", .gemm = "auto",
                          .format = "table", .yardstick = "fma"};
    struct results list = {0};
    const struct option_spec spec[] = {
        {"--filter", &b.filter, NULL, "model (pico t s b l xl h g, internimage_t...), dcnv2: layers, ops"},
        {"--size", &a.size, NULL, "HxW (default 224x224)"},
        {"--threads", &a.threads, NULL, "only with so many (default: 1 to all)"},
        {"--batch", &a.batch, NULL, "only this batch (default: 1 and 8)"},
        {"--isa", &b.spec.isa, NULL, "generic, avx2 or avx512 (default: the best there is)"},
        {"--gemm", &a.gemm, NULL, "own, onednn or auto: who multiplies matrices (default auto)"},
        {"--seconds", &a.seconds, NULL, "per case and round (default 2)"},
        {"--rounds", &a.rounds, NULL, "rounds per case (default 1)"},
        {"--profile", NULL, &b.measure.profile, "time per kind of step"},
        {"--ref", NULL, &b.measure.with_ref, "also time the scalar reference"},
        {"--train", NULL, &a.train, "forward and backward, as in training"},
        {"--yardstick", &a.yardstick, NULL, "recorded beside each time: fma, conv or ref (default fma)"},
        {"--format", &a.format, NULL, "table, google, custom or bmf (default table)"},
        {"--json", NULL, &a.json, "--format google"},
        {"--count", NULL, &a.count, "instructions, under callgrind (ci/instructions)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage bench [OPTIONS]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain > 0) {
        fail(e, EXIT_USAGE, "unexpected argument '%s'", argv[0]);
        return EXIT_USAGE;
    }
    if (!understand(&a, &b, e))
        return EXIT_USAGE;
    if (a.count)
        return count_instructions(strcmp(b.filter, "internimage_t") ? b.filter : NULL, e)
             ? EXIT_MATCH : EXIT_NOT_BUILT;
    const bool ok = bench_all(&b, &list, e);
    if (ok)
        report(&list, b.format);
    results_free(&list);
    return ok ? EXIT_MATCH : (int)e->code;
}
