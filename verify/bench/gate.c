#include "gate.h"
#include "served.h"

#include "verify/json.h"
#include "verify/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const verdict_names[] = {"faster", "within noise", "inconclusive", "slower"};

enum { SEED = 1 };

struct gate *gates_add(struct gates *list)
{
    if (list->count == list->room) {
        const int room = list->room ? 2 * list->room : 16;
        struct gate *item = realloc(list->item, (size_t)room * sizeof *item);
        if (!item)
            return NULL;
        list->item = item;
        list->room = room;
    }
    list->item[list->count] = (struct gate){.views = 1};
    return &list->item[list->count++];
}

void gates_free(struct gates *list)
{
    free(list->item);
    *list = (struct gates){0};
}

static enum verdict judge(const struct gate *g, double margin, double alpha)
{
    const struct effect *f = &g->effect;
    const bool ordered = g->p < alpha;
    if (ordered && f->low > 1 && f->ratio >= 1 + margin)
        return VERDICT_SLOWER;
    if (ordered && f->high < 1 && f->ratio <= 1 / (1 + margin))
        return VERDICT_FASTER;
    return f->low > 1 / (1 + margin) && f->high < 1 + margin ? VERDICT_NOISE
                                                             : VERDICT_INCONCLUSIVE;
}

static void put_together(struct gate *g, double alpha)
{
    for (int i = 0; i < g->views; i++) {
        const struct view *v = &g->view[i];
        const double p = g->paired
                       ? wilcoxon(v->base, v->head, g->base_rounds)
                       : mann_whitney(v->base, g->base_rounds, v->head, g->head_rounds).p;
        const struct effect f = effect_of(v->base, g->base_rounds, v->head, g->head_rounds,
                                          g->paired, 1 - alpha, SEED);
        if (i == 0) {
            g->effect = f;
            g->p = p;
            continue;
        }
        if (fabs(log(f.ratio)) < fabs(log(g->effect.ratio)))
            g->effect.ratio = f.ratio;
        g->effect.low = f.low < g->effect.low ? f.low : g->effect.low;
        g->effect.high = f.high > g->effect.high ? f.high : g->effect.high;
        g->p = p > g->p ? p : g->p;
    }
}

void gates_judge(struct gates *list, double margin)
{
    const double alpha = 0.01 / (list->count ? list->count : 1);
    list->margin = margin;
    for (int i = 0; i < list->count; i++) {
        struct gate *g = &list->item[i];
        put_together(g, alpha);
        g->verdict = judge(g, margin, alpha);
    }
}

static void print_json(const struct gates *list)
{
    struct json j = {.to = stdout, .first = true};
    json_open(&j, NULL, '{');
    json_number(&j, "margin", list->margin);
    json_open(&j, "gates", '[');
    for (int i = 0; i < list->count; i++) {
        const struct gate *g = &list->item[i];
        json_open(&j, NULL, '{');
        json_string(&j, "name", g->label);
        json_string(&j, "verdict", verdict_names[g->verdict]);
        json_number(&j, "ratio", g->effect.ratio);
        json_number(&j, "low", g->effect.low);
        json_number(&j, "high", g->effect.high);
        json_number(&j, "p", g->p);
        json_number(&j, "base_ms", g->base_ms);
        json_number(&j, "head_ms", g->head_ms);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
}

void gates_print(const struct gates *list, bool json)
{
    struct table t = {0};
    if (json) {
        print_json(list);
        return;
    }
    table_row(&t, "case|base ms|head ms|head/base|low|high|p|verdict");
    for (int i = 0; i < list->count; i++) {
        const struct gate *g = &list->item[i];
        table_row(&t, "%s|%.3f|%.3f|%.3f|%.3f|%.3f|%.1e|%s", g->label, g->base_ms, g->head_ms,
                  g->effect.ratio, g->effect.low, g->effect.high, g->p,
                  verdict_names[g->verdict]);
    }
    table_print(&t, stdout);
    table_free(&t);
    printf("\nhead/base: median over rounds with its bootstrap interval; p: Wilcoxon's signed\n"
           "ranks, against a record Mann-Whitney's U; differences below %.3g %% do not count\n", 100 * list->margin);
}

enum exit_code gates_exit(const struct gates *list)
{
    enum exit_code code = list->count ? EXIT_MATCH : EXIT_INCONCLUSIVE;
    for (int i = 0; i < list->count; i++) {
        if (list->item[i].verdict == VERDICT_SLOWER)
            return EXIT_MISMATCH;
        if (list->item[i].verdict == VERDICT_INCONCLUSIVE
            && list->item[i].effect.high >= 1 + list->margin)
            code = EXIT_INCONCLUSIVE;
    }
    return code;
}

/* --- base and head side by side ------------------------------------------------------------ */

enum { LEAST_PAIRS = 5, MOST_PAIRS = 400 };

/* One round: A B, then B A, and so on; both medians. */
static bool one_round(struct server *base, struct server *head, double seconds, struct gate *g,
                      struct error *e)
{
    double a[MOST_PAIRS], b[MOST_PAIRS];
    const int runs = base->together > head->together ? base->together : head->together;
    const double start = bench_now();
    int n = 0;
    while (n < MOST_PAIRS && (n < LEAST_PAIRS || bench_now() - start < seconds)) {
        const bool base_first = n % 2 == 0;
        double first = server_ask(base_first ? base : head, runs, e);
        double second = first < 0 ? -1 : server_ask(base_first ? head : base, runs, e);
        if (second < 0)
            return false;
        a[n] = base_first ? first : second;
        b[n++] = base_first ? second : first;
    }
    g->view[0].base[g->base_rounds++] = median_of(a, n);
    g->view[0].head[g->head_rounds++] = median_of(b, n);
    return true;
}

bool gate_binary(const struct subject_spec *spec, const struct gate_options *o, struct gate *g,
                 struct error *e)
{
    bool ok = true;
    g->paired = true;
    for (int i = 0; ok && i < o->rounds; i++) {
        struct server base = {0}, head = {0};
        const int cpu = server_cpu(spec);
        ok = (i % 2 || server_start(&base, o->base, spec, cpu, e))     /* who starts first changes */
          && server_start(&head, NULL, spec, cpu, e)
          && (i % 2 == 0 || server_start(&base, o->base, spec, cpu, e))
          && one_round(&base, &head, o->seconds, g, e);
        if (ok)
            snprintf(g->label, sizeof g->label, "%s", head.label);
        server_stop(&base);
        server_stop(&head);
    }
    if (ok) {
        g->base_ms = 1e3 * median_of(g->view[0].base, g->base_rounds);
        g->head_ms = 1e3 * median_of(g->view[0].head, g->head_rounds);
    }
    return ok;
}
