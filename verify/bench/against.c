/* bench --against RECORD and --against-binary BASE: every case judged. */
#include "bench.h"
#include "gate.h"

#include "verify/about.h"

#include <math.h>
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

/* Rounds of a label: its least times, and the yardsticks' beside them. */
struct rounds {
    double time[MOST_ROUNDS], yardstick[YARDSTICKS][MOST_ROUNDS];
    int count;
};

static void rounds_of(const struct measurement *m, struct rounds *r)
{
    r->count = m->rounds;
    for (int i = 0; i < m->rounds; i++) {
        r->time[i] = 1e3 * m->round[i].time.least;
        for (int k = 0; k < YARDSTICKS; k++)
            r->yardstick[k][i] = 1e3 * m->round[i].yardstick[k];
    }
}

static double disturbance(const struct rounds *r, int round)
{
    return r->yardstick[YARDSTICK_REF][round] / r->yardstick[YARDSTICK_FMA][round];
}

static int keep_quiet(struct rounds *r, double most)
{
    struct rounds kept = {0};
    for (int i = 0; i < r->count; i++) {
        if (!(disturbance(r, i) <= most))
            continue;
        kept.time[kept.count] = r->time[i];
        for (int k = 0; k < YARDSTICKS; k++)
            kept.yardstick[k][kept.count] = r->yardstick[k][i];
        kept.count++;
    }
    *r = kept;
    return kept.count;
}

/* A neighbour on the same core slows scalar code by up to a half and multiply-adds hardly: the
 * yardsticks tell which rounds had one. These are left out, if enough of both remain. */
static void leave_out_disturbed(struct rounds *base, struct rounds *head)
{
    enum { ENOUGH = 6 };
    struct rounds b = *base, h = *head;
    double least = INFINITY;
    for (int i = 0; i < b.count; i++)
        least = fmin(least, disturbance(&b, i));
    for (int i = 0; i < h.count; i++)
        least = fmin(least, disturbance(&h, i));
    if (keep_quiet(&b, 1.04 * least) >= ENOUGH && keep_quiet(&h, 1.04 * least) >= ENOUGH) {
        *base = b;
        *head = h;
    }
}

/* Over yardstick k; false: a round does not have it. */
static bool over_yardstick(const struct rounds *r, int k, double *over)
{
    bool all = true;
    for (int i = 0; i < r->count; i++) {
        over[i] = r->time[i] / r->yardstick[k][i];
        all = all && r->yardstick[k][i] > 0;
    }
    return all;
}

static void compare_rounds(struct gate *g, struct rounds *base, struct rounds *head)
{
    leave_out_disturbed(base, head);
    g->views = 0;
    for (int k = 0; k < YARDSTICKS; k++) {
        struct view *v = &g->view[g->views];
        g->views += over_yardstick(base, k, v->base) && over_yardstick(head, k, v->head);
    }
    g->base_rounds = base->count;
    g->head_rounds = head->count;
    g->base_ms = median_of(base->time, base->count);
    g->head_ms = median_of(head->time, head->count);
}

static bool against_record(const struct bench *b, const struct subject_spec *spec, void *context,
                           struct error *e)
{
    struct against *a = context;
    struct results now = {0};
    struct rounds base, head;
    if (!bench_case(b, spec, &now, e))
        return false;
    const struct result *r = &now.item[0];
    base.count = record_rounds(a->record, r->label, base.time, base.yardstick);
    struct gate *g = base.count ? gates_add(&a->list) : NULL;
    if (g) {
        snprintf(g->label, sizeof g->label, "%s", r->label);
        rounds_of(&r->m, &head);
        compare_rounds(g, &base, &head);
    }
    if (g && !g->views)
        a->list.count--;                /* recorded without yardsticks */
    a->missing += !g || !g->views;
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
                                        "yardsticks", b->against);
    if (ok) {
        gates_judge(&a.list, b->margin);
        gates_print(&a.list, b->format == REPORT_GOOGLE);
        *code = gates_exit(&a.list);
        if (a.missing)
            fprintf(stderr, "%d cases are not in %s\n", a.missing, b->against);
    }
    record_close(a.record);
    gates_free(&a.list);
    return ok;
}
