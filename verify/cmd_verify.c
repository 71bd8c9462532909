/* internimage verify: every golden file against the double reference, one table. */
#include "commands.h"
#include "golden.h"
#include "json.h"
#include "numerics.h"
#include "options.h"
#include "port/plugin_verify.h"
#include "progress.h"
#include "table.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALL_GOLDENS "datasets/goldens"

struct verify_options {
    const char *goldens, *isa, *filter, *only, *plugin, *against, *record, *junit;
    bool json, verbose;
};

/* How much of a table is put into one line. */
enum detail { PER_OP, PER_CASE, PER_TENSOR };

/* --- the table ---------------------------------------------------------------- */

/* One line: all cases of an op or all of a model in one direction; one case; or one
 * tensor. Every column shows the worst. */
struct line {
    const struct finding *first;
    const char *last_unit;
    int cases, tensors, passed;
    double ref32, ref32_part, torch32, torch32_part, torch64, opt, opt_part, max_abs, ulp;
    bool has32, has64, has_opt, has_plain;
};

static double worst(double a, double b)
{
    return a > b || a != a ? a : b;
}

static void line_add(struct line *l, const struct finding *f)
{
    if (!l->first)
        l->first = f;
    if (!f->has_opt && (!l->last_unit || strcmp(l->last_unit, f->unit))) {
        l->cases++;
        l->last_unit = f->unit;
    }
    l->has_plain = l->has_plain || !f->has_opt;
    l->tensors++;
    l->passed += f->pass;
    l->ref32 = worst(f->ref32.rel_rms, l->ref32);
    l->ref32_part = worst(f->ref32.rel_rms / f->ref32_limit, l->ref32_part);
    const struct metrics *own = f->has_opt ? &f->opt : &f->ref32;
    l->max_abs = worst(own->max_abs, l->max_abs);
    l->ulp = worst(own->max_ulp, l->ulp);
    if (f->has_opt) {
        l->has_opt = true;
        l->opt = worst(f->opt.rel_rms, l->opt);
        l->opt_part = worst(f->opt.rel_rms / f->torch32_limit * ENVELOPE_K, l->opt_part);
    }
    if (f->has32) {
        l->has32 = true;
        l->torch32 = worst(f->torch32.rel_rms, l->torch32);
        l->torch32_part = worst(f->torch32.rel_rms / f->torch32_limit * ENVELOPE_K,
                                l->torch32_part);
    }
    if (f->has64) {
        l->has64 = true;
        l->torch64 = worst(f->torch64.rel_rms, l->torch64);
    }
}

static void number(char *to, size_t size, bool has, const char *format, double value)
{
    if (has)
        snprintf(to, size, format, value);
    else
        snprintf(to, size, "-");
}

/* "dcnv3 n2h7..." and "dcnv3 n1h8..." are cases of one op. */
static size_t op_length(const char *unit)
{
    return strcspn(unit, " ");        /* "add 2x3x5x7/train-avx2" is a case of add */
}

static void line_name(char *name, size_t size, const struct line *l, enum detail detail)
{
    const struct finding *f = l->first;
    if (detail == PER_TENSOR)
        snprintf(name, size, "%s  %s", f->unit, f->tensor);
    else if (detail == PER_OP && strchr(f->unit, ' '))
        snprintf(name, size, "%.*s (%d case%s)", (int)op_length(f->unit), f->unit, l->cases,
                 l->cases == 1 ? "" : "s");
    else
        snprintf(name, size, "%s", f->unit);
}

static void line_print(struct table *t, const struct line *l, enum detail detail)
{
    char name[300], t32[24], part[24], t64[24], opt[24], opt_part[24], bound[24];
    line_name(name, sizeof name, l, detail);
    number(t32, sizeof t32, l->has32, "%.1e", l->torch32);
    number(part, sizeof part, l->has32, "%.2f", l->torch32_part);
    number(t64, sizeof t64, l->has64, "%.1e", l->torch64);
    number(opt, sizeof opt, l->has_opt, "%.1e", l->opt);
    number(opt_part, sizeof opt_part, l->has_opt, "%.2f", l->opt_part);
    number(bound, sizeof bound, l->has_plain, "%.2f", l->ref32_part);
    table_row(t, "%s|%s|%d|%.1e|%s|%s|%s|%s|%s|%s|%.1e|%.3g|%s", name,
              l->first->direction == GRADIENT ? "gradient" : "forward", l->tensors, l->ref32,
              bound, t32, part, t64, opt, opt_part, l->max_abs, l->ulp,
              l->passed == l->tensors ? "PASS" : "FAIL");
}

static bool same_line(const struct finding *a, const struct finding *b, enum detail detail)
{
    size_t length = op_length(a->unit);
    if (detail == PER_TENSOR || a->direction != b->direction)
        return false;
    return detail == PER_CASE ? !strcmp(a->unit, b->unit)
                              : op_length(b->unit) == length && !strncmp(a->unit, b->unit, length);
}

/* Findings of one line need not be neighbours: an op's cases alternate between
 * forward and gradient. */
static int print_table(const struct findings *found, enum detail detail)
{
    struct table t = {0};
    int lines = 0;
    bool *done = calloc((size_t)found->count + 1, sizeof *done);
    table_row(&t, "case|pass|tensors|ref32|/bound|torch32|/envelope|torch64|opt|/envelope|max abs|ULP|");
    for (int i = 0; done && i < found->count; i++) {
        struct line l = {0};
        if (done[i])
            continue;
        line_add(&l, &found->item[i]);
        for (int k = i + 1; k < found->count; k++)
            if (!done[k] && same_line(&found->item[i], &found->item[k], detail)) {
                done[k] = true;
                line_add(&l, &found->item[k]);
            }
        line_print(&t, &l, detail);
        lines++;
    }
    table_print(&t, stdout);
    table_free(&t);
    free(done);
    return lines;
}

static void print_failures(const struct findings *found)
{
    char text[512];
    int shown = 0;
    for (int i = 0; i < found->count; i++) {
        const struct finding *f = &found->item[i];
        if (f->pass || shown++ >= 20)
            continue;
        printf("FAIL %s\n", finding_text(f, text, sizeof text));
    }
    if (shown > 20)
        printf("... and %d more\n", shown - 20);
}

static int count_passed(const struct findings *found)
{
    int passed = 0;
    for (int i = 0; i < found->count; i++)
        passed += found->item[i].pass;
    return passed;
}

static void print_text(const struct findings *found, enum detail detail, double seconds)
{
    int passed = count_passed(found), lines = print_table(found, detail);
    printf("\nErrors are ||x - ref64|| / ||ref64||, the worst tensor of the line. ref32 must stay\n"
           "within its bound (/bound <= 1: rounding of its sums, in models also %g times PyTorch's\n"
           "loss), PyTorch float32 and the fast side within %g times what ref32 loses (/envelope\n"
           "<= %g; envelope >= %.1e), PyTorch float64 within %.0e.\n",
           ENVELOPE_K, ENVELOPE_K, ENVELOPE_K, ENVELOPE_FLOOR, DOUBLE_LIMIT);
    print_failures(found);
    printf("%d lines, %d tensors: %d passed, %d failed", lines, found->count, passed,
           found->count - passed);
    if (found->skipped)
        printf("; %d runs of the fast side SKIPPED (no kernel, or not on this CPU)", found->skipped);
    if (found->missing || found->extra)
        printf("; %d tensors without golden values, %d golden values without a node",
               found->missing, found->extra);
    printf("; %.1f s\n", seconds);
}

static void json_metrics(struct json *j, const char *key, const struct metrics *m, double limit)
{
    json_open(j, key, '{');
    json_number(j, "rel_rms", m->rel_rms);
    json_number(j, "limit", limit);
    json_number(j, "max_abs", m->max_abs);
    json_int(j, "max_at", m->max_at);
    json_number(j, "max_ulp", m->max_ulp);
    json_int(j, "nonfinite", m->bad);
    json_close(j, '}');
}

static void print_json(const struct findings *found)
{
    struct json j = {.to = stdout, .first = true};
    int passed = count_passed(found);
    json_open(&j, NULL, '{');
    json_number(&j, "k", ENVELOPE_K);
    json_number(&j, "envelope_floor", ENVELOPE_FLOOR);
    json_int(&j, "passed", passed);
    json_int(&j, "failed", found->count - passed);
    json_int(&j, "missing", found->missing);
    json_int(&j, "extra", found->extra);
    json_int(&j, "skipped", found->skipped);
    json_open(&j, "tensors", '[');
    for (int i = 0; i < found->count; i++) {
        const struct finding *f = &found->item[i];
        json_open(&j, NULL, '{');
        json_string(&j, "case", f->unit);
        json_string(&j, "tensor", f->tensor);
        json_string(&j, "pass", f->direction == GRADIENT ? "gradient" : "forward");
        json_bool(&j, "ok", f->pass);
        json_metrics(&j, "ref32", &f->ref32, f->ref32_limit);
        if (f->has32)
            json_metrics(&j, "torch32", &f->torch32, f->torch32_limit);
        if (f->has_opt)
            json_metrics(&j, "opt", &f->opt, f->torch32_limit);
        if (f->has64)
            json_metrics(&j, "torch64", &f->torch64, DOUBLE_LIMIT);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
}

/* --- the files ------------------------------------------------------------------ */

static int is_golden(const struct dirent *d)
{
    size_t length = strlen(d->d_name);
    return length > 3 && !strcmp(d->d_name + length - 3, ".h5");
}

/* A file, or every .h5 file of a directory in name order. */
static bool verify_path(const char *path, const struct golden_options *o, struct findings *found,
                        struct error *e)
{
    struct dirent **entry;
    int count = scandir(path, &entry, is_golden, alphasort);
    if (count < 0)
        return golden_verify(path, o, found, e);
    bool ok = count > 0 || fail(e, EXIT_BAD_FILE, "%s: there is no .h5 file in it", path);
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        ok = ok && golden_verify(file, o, found, e);
        free(entry[i]);
    }
    free(entry);
    return ok;
}

static int verdict(const struct findings *found, const struct verify_options *v, struct error *e)
{
    if (found->count == 0)
        fail(e, EXIT_INCONCLUSIVE, "nothing was compared%s%s", v->only ? ": no case is called "
             : v->filter ? ": no name contains " : "", v->only ? v->only : v->filter ? v->filter : "");
    return count_passed(found) == found->count ? EXIT_MATCH : EXIT_MISMATCH;
}

int cmd_verify(int argc, char **argv, struct error *e)
{
    struct verify_options v = {.goldens = ALL_GOLDENS};
    const struct option_spec spec[] = {
        {"--goldens", &v.goldens, NULL, "golden file or directory (default datasets/goldens)"},
        {"--filter", &v.filter, NULL, "only cases, models or tensors whose name contains VALUE"},
        {"--case", &v.only, NULL, "only the op case with exactly this reproduction string"},
        {"--isa", &v.isa, NULL, "the fast side on generic, avx2 or avx512 alone (default: on all)"},
        {"--plugin", &v.plugin, NULL, "a shared library with your DCN operators (docs/plugins.md)"},
        {"--against", &v.against, NULL, "also fail where an error has grown to 2 times the recorded"},
        {"--record", &v.record, NULL, "write the errors, for --against"},
        {"--junit", &v.junit, NULL, "also a JUnit file, one test case per tensor"},
        {"--json", NULL, &v.json, "machine-readable, one object per tensor"},
        {"--verbose", NULL, &v.verbose, "one line per tensor"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage verify [OPTIONS]\n\n"
                              "Holds this project's reference and fast side, and what PyTorch computed, to\n"
                              "the double reference. For a port of your own: internimage compare.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain > 0) {
        fail(e, EXIT_USAGE, "unexpected argument '%s'", argv[0]);
        return EXIT_USAGE;
    }
    if (v.plugin)
        return plugin_verify(&(struct plugin_options){v.plugin, v.goldens, v.filter, v.only, v.json},
                             e);
    struct golden_options o = {.filter = v.filter, .only = v.only, .isa = v.isa, .progress = progress};
    struct findings found = {0};
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    bool ok = verify_path(v.goldens, &o, &found, e);
    clock_gettime(CLOCK_MONOTONIC, &end);
    progress_end();
    if (ok && v.json)
        print_json(&found);
    else if (ok)
        print_text(&found, v.verbose ? PER_TENSOR : v.filter || v.only ? PER_CASE : PER_OP,
                   (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    int code = ok ? verdict(&found, &v, e) : (int)e->code, lost = 0;
    if (ok && v.junit)
        ok = findings_junit(&found, v.junit, e);
    if (ok && v.record)
        ok = numerics_write(v.record, &found, e);
    if (ok && v.against)
        ok = numerics_compare(v.against, &found, !v.filter && !v.only && !strcmp(v.goldens, ALL_GOLDENS), &lost, e);
    code = !ok ? (int)e->code : lost ? EXIT_MISMATCH : code;
    findings_free(&found);
    return code;
}
