/* internimage bench: what this machine can do, and how much of it a case uses; and the
 * gates that tell whether it changed. */
#include "bench.h"
#include "count.h"
#include "served.h"

#include "verify/commands.h"
#include "verify/options.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool bench_case(const struct bench *b, const struct subject_spec *spec, struct results *list,
                struct error *e)
{
    struct subject *s = subject_new(spec, e);
    struct result *r = s ? results_add(list) : NULL;
    if (!r) {
        subject_free(s);
        return false;
    }
    *r = (struct result){.spec = *spec, .flops = subject_flops(s), .bytes = subject_bytes(s)};
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

typedef bool visitor(const struct bench *, const struct subject_spec *, void *, struct error *);

/* One name at every size, with every number of threads and every batch. Of a list ("ops")
 * only the first batch. */
static bool each_of(const struct bench *b, const char *name, bool listed, visitor *visit,
                    void *context, struct error *e)
{
    struct subject_spec spec = b->spec;
    spec.name = name;
    for (int size = 0; size < b->sizes; size++) {
        spec.height = b->height[size];
        spec.width = b->width[size];
        for (int t = b->all_threads ? 1 : b->spec.threads; t <= b->spec.threads; t++) {
            spec.threads = t;
            for (int i = 0; i < (listed ? 1 : b->batches); i++) {
                spec.batch = b->batch[i];
                if (!visit(b, &spec, context, e))
                    return false;
            }
        }
    }
    return true;
}

bool bench_each(const struct bench *b, visitor *visit, void *context, struct error *e)
{
    static char names[256];             /* results refer to them until the next call */
    char *rest = names, *filter;
    const char *name;
    snprintf(names, sizeof names, "%s", b->filter);
    while ((filter = strsep(&rest, ",")))
        for (int i = 0; (name = subject_names(filter, i)); i++)
            if (!each_of(b, name, name != filter, visit, context, e))
                return false;
    return true;
}

static bool visit_measure(const struct bench *b, const struct subject_spec *spec, void *list,
                          struct error *e)
{
    return bench_case(b, spec, list, e);
}

static enum exit_code bench_all(const struct bench *b, struct error *e)
{
    struct results list = {0};
    if (b->format == REPORT_TABLE)
        print_machine(b, e);
    const bool ok = bench_each(b, visit_measure, &list, e);
    if (ok)
        report(&list, b->format);
    results_free(&list);
    return ok ? EXIT_MATCH : e->code;
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
    const char *size, *threads, *batch, *seconds, *rounds, *gemm, *format, *margin;
    bool json, train, count, serve;
};

/* "224x224,384x384" and "1,8". */
static bool read_lists(const char *sizes, const char *batches, struct bench *b)
{
    int length = 0;
    for (const char *at = sizes; b->sizes < MOST_LISTED; at++) {
        if (sscanf(at, "%dx%d%n", &b->height[b->sizes], &b->width[b->sizes], &length) != 2)
            return false;
        b->sizes++;
        at += length;
        if (*at != ',')
            break;
    }
    for (const char *at = batches; b->batches < MOST_LISTED; at++) {
        if (sscanf(at, "%d%n", &b->batch[b->batches], &length) != 1 || b->batch[b->batches] < 1
            || b->batch[b->batches] > 4096)
            return false;
        b->batches++;
        at += length;
        if (*at != ',')
            break;
    }
    b->spec.height = b->height[0];
    b->spec.width = b->width[0];
    b->spec.batch = b->batch[0];
    return true;
}

static bool understand(const struct arguments *a, struct bench *b, struct error *e)
{
    static const char *const gemms[] = {"auto", "own", "onednn"};
    const int gemm = choice("--gemm", a->gemm, gemms, 3, e);
    const int format = choice("--format", a->json ? "google" : a->format, report_names,
                              REPORT_FORMATS, e);
    if (gemm < 0 || format < 0)
        return false;
    b->spec.gemm = (enum gemm_choice)gemm;
    b->format = (enum report_format)format;
    b->spec.threads = a->threads ? atoi(a->threads) : omp_get_num_procs();
    b->spec.work = a->train ? WORK_TRAIN : WORK_FORWARD;
    b->all_threads = !a->threads;
    b->measure.seconds = atof(a->seconds);
    b->measure.rounds = a->rounds ? atoi(a->rounds) : b->against || b->against_binary ? 12 : 1;
    b->margin = atof(a->margin) / 100;
    if (!read_lists(a->size, a->batch, b) || b->spec.threads < 1 || b->spec.threads > 1024
        || !(b->measure.seconds >= 0))
        return fail(e, EXIT_USAGE, "--size is HxW[,HxW...], --batch N[,N...], --threads a number");
    if (b->measure.rounds < 1 || b->measure.rounds > MOST_ROUNDS)
        return fail(e, EXIT_USAGE, "--rounds is 1 to %d", MOST_ROUNDS);
    if (!(b->margin > 0 && b->margin < 1) || (b->against && b->against_binary))
        return fail(e, EXIT_USAGE, "--margin is a percentage; --against and --against-binary "
                                   "exclude each other");
    return true;
}

int cmd_bench(int argc, char **argv, struct error *e)
{
    struct bench b = {.filter = "internimage_t"};
    struct arguments a = {.size = "224x224", .batch = "1,8", .seconds = "2", .margin = "3", .gemm = "auto",
                          .format = "table"};
    enum exit_code code = EXIT_MATCH;
    const struct option_spec spec[] = {
        {"--filter", &b.filter, NULL, "models (pico t s b l xl h g), dcnv2: layers, ops; A,B,C"},
        {"--size", &a.size, NULL, "HxW[,HxW...] (default 224x224)"},
        {"--threads", &a.threads, NULL, "only with so many (default: 1 to all)"},
        {"--batch", &a.batch, NULL, "N[,N...] (default 1,8)"},
        {"--isa", &b.spec.isa, NULL, "generic, avx2 or avx512 (default: the best there is)"},
        {"--gemm", &a.gemm, NULL, "own, onednn or auto: who multiplies matrices (default auto)"},
        {"--seconds", &a.seconds, NULL, "per case and round (default 2)"},
        {"--rounds", &a.rounds, NULL, "rounds per case (default 1; of a gate 12)"},
        {"--profile", NULL, &b.measure.profile, "time per kind of step"},
        {"--ref", NULL, &b.measure.with_ref, "also time the scalar reference"},
        {"--train", NULL, &a.train, "forward and backward, as in training"},
        {"--format", &a.format, NULL, "table, google, custom or bmf (default table)"},
        {"--json", NULL, &a.json, "--format google"},
        {"--against", &b.against, NULL, "judge against a record: what `bench --rounds 12 --json` wrote"},
        {"--against-binary", &b.against_binary, NULL, "judge against another internimage, run in turns"},
        {"--margin", &a.margin, NULL, "per cent below which a difference does not count (default 3)"},
        {"--serve", NULL, &a.serve, "run on demand (what --against-binary starts)"},
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
    if (a.serve) {
        b.spec.name = b.filter;
        return serve(&b.spec, e) ? EXIT_MATCH : (int)e->code;
    }
    if (b.against || b.against_binary)
        return bench_against(&b, &code, e) ? (int)code : (int)e->code;
    return bench_all(&b, e);
}
