/* What the runs say: means, spreads, and which differences are larger than chance. */
#include "ablate.h"

#include "verify/table.h"

#include <math.h>
#include <string.h>

struct summary {
    const struct ablate_run *first;     /* NULL: none has finished */
    int runs, diverged;
    double mean, sd, least, most;       /* accuracy, %, of those that did not diverge */
    double step_ms;                     /* the fastest of the runs' */
};

static struct summary summary_of(const struct ablate_runs *runs, const char *name)
{
    struct summary s = {.least = INFINITY, .most = -INFINITY, .step_ms = INFINITY};
    double sum = 0, squares = 0;
    for (int i = 0; i < runs->count; i++) {
        const struct ablate_run *r = &runs->run[i];
        if (strcmp(r->name, name))
            continue;
        s.first = s.first ? s.first : r;
        s.step_ms = fmin(s.step_ms, r->step_ms);
        s.diverged += r->diverged;
        if (r->diverged)
            continue;
        s.runs++;
        sum += 100 * r->accuracy;
        s.least = fmin(s.least, 100 * r->accuracy);
        s.most = fmax(s.most, 100 * r->accuracy);
    }
    s.mean = s.runs ? sum / s.runs : NAN;
    for (int i = 0; i < runs->count; i++)
        if (!strcmp(runs->run[i].name, name) && !runs->run[i].diverged)
            squares += pow(100 * runs->run[i].accuracy - s.mean, 2);
    s.sd = s.runs > 1 ? sqrt(squares / (s.runs - 1)) : NAN;
    return s;
}

double half_width(double sd, int n)
{
    static const double t95[] = {12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26};
    return n < 2 ? INFINITY : (n <= 10 ? t95[n - 2] : 2.2) * sd / sqrt(n);
}

/* Runs of the same seed start alike and see the same images in the same order, so each is
 * compared with the base's of its seed: what a seed does to both is left out. */
static struct summary difference_of(const struct ablate_runs *runs, const char *name)
{
    struct summary d = {0};
    double sum = 0, squares = 0;
    for (int i = 0; i < runs->count; i++)
        for (int k = 0; k < runs->count; k++) {
            const struct ablate_run *a = &runs->run[i], *base = &runs->run[k];
            if (strcmp(a->name, name) || strcmp(base->name, ablations[0].name)
                || a->seed != base->seed || a->diverged || base->diverged)
                continue;
            const double difference = 100 * (a->accuracy - base->accuracy);
            d.runs++;
            sum += difference;
            squares += difference * difference;
        }
    d.mean = d.runs ? sum / d.runs : NAN;
    d.sd = d.runs > 1 ? sqrt(fmax(0, squares - sum * d.mean) / (d.runs - 1)) : NAN;
    return d;
}

static const char *reading(double difference, double half)
{
    return fabs(difference) <= half ? "cannot tell" : difference > 0 ? "better" : "worse";
}

static void add_row(struct table *t, const struct ablation *a, const struct summary *s,
                    const struct summary *d)
{
    char paper[32] = "", difference[64] = "|||", diverged[32] = "", sd[16] = "", interval[16] = "";
    const double half = half_width(d->sd, d->runs);
    if (a->top1 > 0 && a != ablations)
        snprintf(paper, sizeof paper, "%.1f|%+.1f", a->top1, a->top1 - ablations[0].top1);
    else if (a->top1 > 0)
        snprintf(paper, sizeof paper, "%.1f", a->top1);
    if (s->runs > 1)
        snprintf(sd, sizeof sd, "%.2f", s->sd);
    if (d->runs > 1)
        snprintf(interval, sizeof interval, "%.2f", half);
    if (a != ablations && d->runs)
        snprintf(difference, sizeof difference, "%+.2f|%s|%s|", d->mean, interval,
                 d->runs > 1 ? reading(d->mean, half) : "one seed");
    if (s->diverged)
        snprintf(diverged, sizeof diverged, " (+%d diverged)", s->diverged);
    table_row(t, "%s|%s|%lld|%.2f|%.1f|%d%s|%.2f|%s|%s%s", a->name, a->what,
              (long long)s->first->parameters, s->first->mmacs, s->step_ms, s->runs, diverged,
              s->mean, sd, difference, paper);
}

void ablate_table(const struct ablate_runs *runs, FILE *to)
{
    struct table t = {0};
    table_row(&t, "ablation|what|parameters|MMACs|ms/step|runs|accuracy|sd|to base|+-95 %%|"
                  "reading|paper|to base");
    for (const struct ablation *a = ablations; a->name; a++) {
        const struct summary s = summary_of(runs, a->name);
        const struct summary d = difference_of(runs, a->name);
        if (s.first)
            add_row(&t, a, &s, &d);
    }
    table_print(&t, to);
    table_free(&t);
    if (runs->count)
        fprintf(to, "\n%s\n", runs->run[0].plan);
    fputs("accuracy: top-1 on the test images, %; sd: standard deviation over seeds; to base: mean\n"
          "difference to the base's run of the same seed, and half the width of its 95 % interval\n"
          "(Student); ms/step: CPU time of forward and backward on one thread; paper: top-1 of\n"
          "InternImage-T on ImageNet-1K.\n", to);
}

void ablate_plot_data(const struct ablate_runs *runs, FILE *to)
{
    fputs("# ablation family mean least most\n", to);
    for (const struct ablation *a = ablations; a->name; a++) {
        const struct summary s = summary_of(runs, a->name);
        if (s.runs)
            fprintf(to, "%s %s %.3f %.3f %.3f\n", a->name, a->family, s.mean, s.least, s.most);
    }
    for (const struct ablation *a = ablations; a->name; a++) {
        const struct summary s = summary_of(runs, a->name);
        if (!s.runs)
            continue;
        fprintf(to, "\n\n# %s: epoch, mean accuracy\n", a->name);
        for (int epoch = 0; epoch < s.first->epochs; epoch++) {
            double sum = 0;
            for (int i = 0; i < runs->count; i++)
                if (!strcmp(runs->run[i].name, a->name) && !runs->run[i].diverged)
                    sum += runs->run[i].curve[epoch];
            fprintf(to, "%d %.3f\n", epoch + 1, 100 * sum / s.runs);
        }
    }
}
