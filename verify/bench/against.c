/* bench --against RECORD and --against-binary BASE: every case judged. */
#include "bench.h"
#include "gate.h"

#include "verify/about.h"

#include <stdio.h>
#include <string.h>

struct against {
    struct gates list;
    struct record *record;              /* NULL: a binary */
    int missing;                        /* cases that the record does not have */
};

static bool against_binary(const struct bench *b, const struct subject_spec *spec, void *context,
                           struct error *e)
{
    struct against *a = context;
    struct gate *g = gates_add(&a->list);
    const struct gate_options o = {.base = b->against_binary, .seconds = b->measure.seconds,
                                   .rounds = b->measure.rounds};
    return g ? gate_binary(spec, &o, g, e) : fail(e, EXIT_USAGE, "out of memory");
}

static bool against_record(const struct bench *b, const struct subject_spec *spec, void *context,
                           struct error *e)
{
    struct against *a = context;
    struct results now = {0};
    double over[MOST_ROUNDS], ms[MOST_ROUNDS];
    if (!bench_case(b, spec, &now, e))
        return false;
    const struct result *r = &now.item[0];
    const int rounds = record_rounds(a->record, r->label, yardstick_names[r->yardstick], over, ms);
    struct gate *g = rounds ? gates_add(&a->list) : NULL;
    a->missing += !rounds;
    if (g) {
        snprintf(g->label, sizeof g->label, "%s", r->label);
        memcpy(g->base, over, sizeof over);
        g->base_rounds = rounds;
        g->base_ms = median_of(ms, rounds);
        for (g->head_rounds = 0; g->head_rounds < r->m.rounds; g->head_rounds++)
            g->head[g->head_rounds] = r->m.round[g->head_rounds].time.median
                                    / r->m.round[g->head_rounds].yardstick;
        g->head_ms = 1e3 * result_time(r).median;
    }
    results_free(&now);
    return true;
}

/* Ratios to a yardstick carry over to another hour, not to another CPU. */
static bool same_cpu(const struct record *r, const char *path, struct error *e)
{
    const char *then = record_context(r, "cpu"), *now = about_text("cpu");
    return (then && !strcmp(then, now))
        || fail(e, EXIT_INCONCLUSIVE, "%s was recorded on '%s', this is '%s': nothing to compare",
                path, then ? then : "an unknown CPU", now);
}

bool bench_against(const struct bench *b, enum exit_code *code, struct error *e)
{
    struct against a = {0};
    bool ok = true;
    if (b->against) {
        a.record = record_open(b->against, e);
        ok = a.record && same_cpu(a.record, b->against, e);
    }
    ok = ok && bench_each(b, a.record ? against_record : against_binary, &a, e);
    if (ok && !a.list.count)
        ok = fail(e, EXIT_INCONCLUSIVE, "%s has none of the cases that were run, with rounds and "
                                        "this yardstick", b->against);
    if (ok) {
        gates_judge(&a.list, b->margin);
        gates_print(&a.list, b->margin, b->format == REPORT_GOOGLE);
        *code = gates_exit(&a.list);
        if (a.missing)
            fprintf(stderr, "%d cases are not in %s\n", a.missing, b->against);
    }
    record_close(a.record);
    gates_free(&a.list);
    return ok;
}
