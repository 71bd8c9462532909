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

/* Student's t for 95 %, two sided. */
static double t95(double freedom)
{
    static const double t[] = {12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23};
    const int n = (int)freedom;         /* rounded down: the wider interval */
    return n < 1 ? INFINITY : n <= 10 ? t[n - 1] : n < 30 ? 2.2 : 2.0;
}

double welch_half_width(double sd_a, int n_a, double sd_b, int n_b)
{
    if (n_a < 2 || n_b < 2)
        return INFINITY;
    const double a = sd_a * sd_a / n_a, b = sd_b * sd_b / n_b;
    const double freedom = (a + b) * (a + b) / (a * a / (n_a - 1) + b * b / (n_b - 1));
    return t95(a + b > 0 ? freedom : n_a + n_b - 2) * sqrt(a + b);
}

static const char *reading(double difference, double half)
{
    return fabs(difference) <= half ? "cannot tell" : difference > 0 ? "better" : "worse";
}

static void add_row(struct table *t, const struct ablation *a, const struct summary *s,
                    const struct summary *base)
{
    char paper[32] = "", difference[64] = "|||", diverged[32] = "";
    const double half = welch_half_width(s->sd, s->runs, base->sd, base->runs);
    if (a->top1 > 0 && a != ablations)
        snprintf(paper, sizeof paper, "%.1f|%+.1f", a->top1, a->top1 - ablations[0].top1);
    else if (a->top1 > 0)
        snprintf(paper, sizeof paper, "%.1f", a->top1);
    if (a != ablations && base->runs && s->runs)
        snprintf(difference, sizeof difference, "%+.2f|%.2f|%s|", s->mean - base->mean, half,
                 reading(s->mean - base->mean, half));
    if (s->diverged)
        snprintf(diverged, sizeof diverged, " (+%d diverged)", s->diverged);
    table_row(t, "%s|%s|%lld|%.2f|%.1f|%d%s|%.2f|%.2f|%s%s", a->name, a->what,
              (long long)s->first->parameters, s->first->mmacs, s->step_ms, s->runs, diverged,
              s->mean, s->sd, difference, paper);
}

void ablate_table(const struct ablate_runs *runs, FILE *to)
{
    struct table t = {0};
    const struct summary base = summary_of(runs, ablations[0].name);
    table_row(&t, "ablation|what|parameters|MMACs|ms/step|runs|accuracy|sd|to base|+-95 %%|"
                  "reading|paper|to base");
    for (const struct ablation *a = ablations; a->name; a++) {
        const struct summary s = summary_of(runs, a->name);
        if (s.first)
            add_row(&t, a, &s, &base);
    }
    table_print(&t, to);
    table_free(&t);
    if (runs->count)
        fprintf(to, "\n%s\n", runs->run[0].plan);
    fputs("accuracy: top-1 on the test images, %; sd: standard deviation over seeds; +-95 %: half\n"
          "width of the interval of the difference (Welch); ms/step: CPU time of forward and\n"
          "backward on one thread; paper: top-1 of InternImage-T on ImageNet-1K.\n", to);
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
