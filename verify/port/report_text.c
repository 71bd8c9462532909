/* The comparison as an aligned table, and the sentences all reports use. */
#include "report.h"

#include "ref/ref.h"
#include "verify/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORST_SHOWN = 10, NAMES_SHOWN = 5 };

/* --- sentences ---------------------------------------------------------------------- */

static const char *tensor_text(const struct tensor_info *t, char *buffer, int size)
{
    int used = 0;
    snprintf(buffer, (size_t)size, "a scalar");
    for (int i = 0; i < t->rank && used < size; i++)
        used += snprintf(buffer + used, (size_t)(size - used), "%s%lld", i ? "x" : "",
                         (long long)t->dim[i]);
    return buffer;
}

static void shape_sentence(const struct report *r, const struct compared *x, char *text, int size)
{
    char have[96], want[96];
    const struct shape *s = &x->node->shape;
    const int used = snprintf(text, (size_t)size, "%s: its shape is %s, expected %s", x->node->name,
                              tensor_text(port_tensor(r->port, x->node), have, sizeof have),
                              shape_text(s, want, sizeof want));
    if (s->rank == 4 && !node_is_nchw(x->node) && used < size)
        snprintf(text + used, (size_t)(size - used), " (NHWC) or %lldx%lldx%lldx%lld (NCHW)",
                 (long long)s->dim[0], (long long)s->dim[3], (long long)s->dim[1],
                 (long long)s->dim[2]);
}

/* Which error a layer is to be told by. */
static const struct layer_error *telling(const struct compared *x)
{
    return x->single.pass ? &x->entire : &x->single;
}

static void where_sentence(const struct report *r, const struct compared *x, char *text, int size)
{
    char at[64];
    const struct layer_error *l = telling(x);
    const struct error_picture *pic = &r->result->picture;
    int used = snprintf(text, (size_t)size, "; at %s expected %.6g, found %.6g; %.3g %% of its "
                        "values are beyond the limit",
                        index_text(&x->node->shape, l->worst_at, at, sizeof at), l->expected,
                        l->found, 100 * l->violating);
    if (pic->node == x->node && pic->interior > 0 && pic->border > 2 * pic->interior && used < size)
        used += snprintf(text + used, (size_t)(size - used), ", %.2g times as much at the border "
                         "of the image as inside", pic->border / pic->interior);
    if (x->span > 1 && used < size)
        snprintf(text + used, (size_t)(size - used), "; MINE lacks an input of it, so that this "
                 "is the error of %d layers, its own and the missing ones'", x->span);
}

const char *report_sentence(const struct report *r, const struct compared *x, char *text, int size)
{
    const struct layer_error *l = telling(x);
    const char *op = ref64_op_row(x->node->op)->name;
    int used;
    if (x->layer.state == PORT_WRONG_SHAPE) {
        shape_sentence(r, x, text, size);
        return text;
    }
    if (x->node->op == OP_input)
        used = snprintf(text, (size_t)size, "%s: %s", x->node->name, l->m.bad
                        ? "it holds NaN or Inf" : "not the golden's image (preprocessing?)");
    else if (l->m.bad)
        used = snprintf(text, (size_t)size, "%s (%s): NaN or Inf disagree at %lld places",
                        x->node->name, op, (long long)l->m.bad);
    else if (l->m.rel_rms <= l->limit)
        used = snprintf(text, (size_t)size, "%s (%s): its values are %.2g times too %s throughout, "
                        "where rounding leaves %.2g (a constant, such as eps?)", x->node->name, op,
                        fabs(l->gain), l->gain < 0 ? "small" : "large", l->gain_limit);
    else
        used = snprintf(text, (size_t)size, "%s (%s): %s error is %.2g of the rms, %.3g times what "
                        "%s rounding costs here (limit %g)", x->node->name, op,
                        l == &x->single ? "its own" : "the accumulated", l->m.rel_rms,
                        l->m.rel_rms / l->envelope, number_name(r->type), ENVELOPE_K);
    if (used < size)
        where_sentence(r, x, text + used, size - used);
    return text;
}

struct report_worst report_worst(const struct report *r)
{
    struct report_worst w = {0};
    for (int i = 0; i < r->result->count; i++) {
        const struct compared *x = &r->result->item[i];
        if (!w.largest || x->largest > w.largest->largest)
            w.largest = x;
        if (x->largest > number_largest(NUMBER_F16) && w.overflows++ == 0)
            w.overflow = x;
        if (x->layer.state != PORT_FITS)
            continue;
        w.entire = fmax(w.entire, x->entire.m.rel_rms / x->entire.envelope);
        w.single = fmax(w.single, x->single.m.rel_rms / x->single.envelope);
        w.atol = x->entire.m.bad ? INFINITY : fmax(w.atol, x->entire.m.max_abs);
        w.rtol = x->entire.m.bad ? INFINITY : fmax(w.rtol, x->entire.max_rel);
    }
    return w;
}

/* --- the table ---------------------------------------------------------------------- */

/* An error over its envelope, short also when it is enormous. */
static const char *ratio(const struct layer_error *l, char *buffer, size_t size)
{
    const double times = l->m.rel_rms / l->envelope;
    snprintf(buffer, size, times < 1000 ? "%.2f" : "%.1e", times);
    return buffer;
}

static void print_row(struct table *t, const struct report *r, const struct compared *x)
{
    char at[64], nonfinite[96] = "-", run_ratio[24], own_ratio[24];
    const struct shape *shape = &x->node->shape;
    const struct layer_error *own = &x->single, *run = &x->entire;
    const char *first = x->node->id == r->result->first ? "FIRST" : x->pass ? "" : "FAIL";
    const bool gain = fabs(own->gain) > own->gain_limit && own->m.rel_rms <= own->limit;
    if (x->layer.state == PORT_WRONG_SHAPE) {
        table_row(t, "%s|%s|-|-|-|-|-|-|-|-|-|-|%s shape", x->node->name,
                  ref64_op_row(x->node->op)->name, first);
        return;
    }
    if (own->nonfinite)
        snprintf(nonfinite, sizeof nonfinite, "%lld %s", (long long)own->nonfinite,
                 index_text(shape, own->nonfinite_at, at, sizeof at));
    table_row(t, "%s|%s|%.1e|%s|%.1e|%s|%.1e|%s|%.3g|%.7f|%.3g|%s|%s%s%s", x->node->name,
              ref64_op_row(x->node->op)->name, run->m.rel_rms,
              ratio(run, run_ratio, sizeof run_ratio), own->m.rel_rms,
              ratio(own, own_ratio, sizeof own_ratio), own->m.max_abs,
              index_text(shape, own->m.max_at, at, sizeof at), own->m.max_ulp, own->cosine,
              100 * own->violating, nonfinite, first, gain ? " (gain)" : "",
              x->span > 1 ? " (inputs missing)" : "");
}

static double badness(const struct compared *x)
{
    if (x->layer.state == PORT_WRONG_SHAPE)
        return INFINITY;
    return fmax(fmax(x->single.m.rel_rms / x->single.limit, x->entire.m.rel_rms / x->entire.limit),
                fabs(x->single.gain) / x->single.gain_limit);
}

/* Least badness that is still among the worst. */
static double threshold(const struct comparison *c)
{
    double best[WORST_SHOWN] = {0};
    for (int i = 0; i < c->count; i++) {
        double b = c->item[i].layer.state == PORT_FITS ? badness(&c->item[i]) : 0;
        for (int k = 0; k < WORST_SHOWN; k++)
            if (b > best[k]) {
                double less = best[k];
                best[k] = b;
                b = less;
            }
    }
    return best[WORST_SHOWN - 1];
}

static void print_table(const struct report *r, bool all)
{
    struct table t = {0};
    const struct comparison *c = r->result;
    const double least = threshold(c);
    int shown = 0;
    table_row(&t, "layer|op|entire|/env|single|/env|max abs|at|ULP|cosine|%% off|NaN, Inf|");
    for (int i = 0; i < c->count; i++) {
        const struct compared *x = &c->item[i];
        const bool has = x->layer.state == PORT_FITS || x->layer.state == PORT_WRONG_SHAPE;
        if (!has || !(all || i == c->first || (badness(x) >= least && shown < WORST_SHOWN)))
            continue;
        print_row(&t, r, x);
        shown += i != c->first;
    }
    table_print(&t, stdout);
    table_free(&t);
}

/* --- what is said around it --------------------------------------------------------- */

static void print_matching(const struct report *r, bool all)
{
    const struct port_counts n = port_counts(r->port);
    const struct comparison *c = r->result;
    int shown = 0;
    printf("%d of %d layers of %s are in %s (%s): %d in NHWC or flat, %d in NCHW", n.fits, n.layers,
           port_model(r->port), r->mine, port_format(r->port), n.fits - n.permuted, n.permuted);
    if (n.spare)
        printf("; %d more have a name that is taken", n.spare);
    if (n.unknown)
        printf("; %d tensors are no layer's (%s ...)", n.unknown,
               tensors_info(port_file(r->port), n.unknown_first)->name);
    if (n.sampled)
        printf("; %d are only samples", n.sampled);
    printf("\n");
    for (int i = 0; i < c->count; i++) {
        const struct node *x = c->item[i].node;
        if (c->item[i].layer.state != PORT_ABSENT || x->op == OP_input || x->op == OP_to_nhwc)
            continue;
        if (shown < NAMES_SHOWN || all)
            printf("%s%s", shown ? ", " : "absent: ", x->name);
        shown++;
    }
    if (shown)
        printf("%s\n", shown > NAMES_SHOWN && !all ? " ..." : "");
}

static void print_forecast(const struct report_worst *w)
{
    const double most = number_largest(NUMBER_F16);
    if (w->overflow)
        printf("float16 OVERFLOWS in %d layers: |x| reaches %.4g in %s\n", w->overflows,
               w->overflow->largest, w->overflow->node->name);
    else if (w->largest)
        printf("float16 would hold: the largest |x| is %.4g, in %s (%.0f times below 65504)\n",
               w->largest->largest, w->largest->node->name,
               w->largest->largest > 0 ? most / w->largest->largest : most);
}

static void print_verdict(const struct report *r)
{
    char text[1024];
    const struct comparison *c = r->result;
    if (c->first >= 0)
        printf("\nfirst divergent layer: %s\n",
               report_sentence(r, &c->item[c->first], text, sizeof text));
    if (c->first >= 0 && c->first_is_entire)
        printf("No layer exceeds its limit on its own; this is where the accumulated error "
               "does.\n");
    printf("%d layers: %d passed, %d failed, %d of them by their own error; %.1f s\n",
           c->passed + c->failed, c->passed, c->failed, c->failed_single, r->seconds);
    if (c->first >= 0 && c->item[c->first].layer.state == PORT_FITS)
        printf("next: internimage diagnose %s %s%s\n", r->golden, r->mine, r->options);
}

void report_text(const struct report *r, bool all)
{
    const struct report_worst w = report_worst(r);
    print_matching(r, all);
    putchar('\n');
    print_table(r, all);
    printf("\nErrors are ||x - ref64|| / ||ref64||. entire: as run. single: from the port's own "
           "inputs.\n/env: over what an honest %s port loses on the same numbers, at least %.1e; up to %g\n"
           "passes. max abs, ULP, cosine, %% off (elements beyond the limit) belong to single.\n",
           number_name(r->type), number_floor(r->type), ENVELOPE_K);
    printf("Smallest tolerance that would pass, as run: %.3g envelopes, atol %.2e or rtol %.2e\n",
           w.entire, w.atol, w.rtol);
    print_forecast(&w);
    print_verdict(r);
}
