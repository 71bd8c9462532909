#include "plugin_mistake.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_CASES = 12, MOST_VALUES = 1 << 14 };

static void count_vote(struct plugin_votes *v, const struct suspect *s)
{
    int i = 0;
    while (i < v->suspects
           && (v->suspect[i].first != s->first || v->suspect[i].second != s->second))
        i++;
    if (i == MOST_SUSPECTS)
        return;
    if (i == v->suspects)
        v->suspect[v->suspects++] = *s;
    v->votes[i]++;
}

bool plugin_vote(struct plugin_votes *v, const struct pair *p, const float *output, double limit,
                 struct error *e)
{
    const struct node *n = p->graph->node[p->graph->nodes - 1];
    const struct ref64_op_args args = ref64_run_args(p->r64, n);
    const int64_t count = shape_count(&n->shape);
    struct replay r = {0};
    if (v->examined == MOST_CASES || count > MOST_VALUES)
        return true;
    double *wide = malloc((size_t)count * sizeof *wide);
    if (!wide)
        return fail(e, EXIT_USAGE, "out of memory for a result");
    for (int64_t i = 0; i < count; i++)
        wide[i] = output[i];
    const struct replay_case c = {.node = n, .args = &args, .output = wide, .limit = limit};
    const bool ok = replay_run(&c, &r, e);
    v->examined += ok;
    for (int i = 0; ok && i < r.named; i++)
        count_vote(v, &r.item[i]);
    replay_free(&r);
    free(wide);
    return ok;
}

bool plugin_verdict(const struct plugin_votes *v, char *text, size_t size, int *votes)
{
    int best = -1;
    for (int i = 0; i < v->suspects; i++)
        if (best < 0 || v->votes[i] > v->votes[best])
            best = i;
    if (best < 0)
        return false;
    const struct suspect *s = &v->suspect[best];
    *votes = v->votes[best];
    if (s->second)
        snprintf(text, size, "%s and %s, %s; %s", s->first->code, s->second->code,
                 s->first->title, s->second->title);
    else
        snprintf(text, size, "%s, %s", s->first->code, s->first->title);
    return true;
}
