#include "plugin_run.h"

#include "datasets/child.h"
#include "opt/plan.h"
#include "opt/trainer.h"
#include "verify/bench/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GUARD values before and after every array: a write there is a bug even where it does not
 * crash. patience: until a call counts as hanging. */
enum { GUARD = 64, MOST_REPEATS = 200, LEAST_REPEATS = 3 };
static const struct child_limits patience = {.seconds = 60};
static const uint32_t guard_bits = 0x7fd1e5a7;          /* a NaN nobody computes */

struct shared {
    double seconds;
    int answer;
    bool measured;
};

/* What a child needs to know. */
struct work {
    const struct plugin_trial *trial;
    struct plugin_result *result;
    struct shared *shared;
};

static const struct node *node_of(const struct plugin_trial *t)
{
    return t->pair->graph->node[t->pair->graph->nodes - 1];
}

/* --- timing ---------------------------------------------------------------------- */

struct clock {
    double seconds[MOST_REPEATS], start, before;
    int count;
};

static bool clock_next(struct clock *c, double budget)
{
    const double now = bench_now();
    if (c->before > 0)
        c->seconds[c->count++] = now - c->before;
    else
        c->start = now;
    return c->count < LEAST_REPEATS || (c->count < MOST_REPEATS && now - c->start < budget);
}

static void clock_report(struct clock *c, struct shared *s)
{
    s->seconds = timing_of(c->seconds, c->count).median;
    s->measured = true;
}

/* --- the three children ------------------------------------------------------------ */

static void run_plugin(void *context)
{
    const struct work *w = context;
    const struct plugin_result *r = w->result;
    const struct node *n = node_of(w->trial);
    struct ref32_op_args a = ref32_run_args(w->trial->pair->r32, n);
    struct clock clock = {0};
    for (int i = 0; w->trial->d_output && i < n->inputs; i++)
        a.d_in[i] = r->value[i];
    for (int i = 0; w->trial->d_output && i < n->params; i++)
        a.d_param[i] = r->value[n->inputs + i];
    while (w->shared->answer == 0 && clock_next(&clock, w->trial->seconds)) {
        for (int i = 0; i < r->tensors; i++)
            memset(r->value[i], 0, (size_t)r->count[i] * sizeof(float));
        clock.before = bench_now();
        w->shared->answer = w->trial->d_output
                          ? plugin_backward(w->trial->plugin, n, &a, w->trial->d_output)
                          : plugin_forward(w->trial->plugin, n, &a, r->value[0]);
    }
    if (w->shared->answer == 0)
        clock_report(&clock, w->shared);
}

static void run_ref(void *context)
{
    const struct work *w = context;
    const struct node *n = node_of(w->trial);
    const struct ref32_op_args a = ref32_run_args(w->trial->pair->r32, n);
    struct clock clock = {0};
    while (clock_next(&clock, w->trial->seconds)) {
        clock.before = bench_now();
        if (w->trial->d_output)
            ref32_op_row(n->op)->backward(n, &a, w->trial->d_output);
        else
            ref32_op_row(n->op)->forward(n, &a, w->trial->pair->r32->value[n->id]);
    }
    clock_report(&clock, w->shared);
}

static void run_opt_forward(const struct work *w)
{
    const struct pair *p = w->trial->pair;
    struct plan *plan = plan_new(p->graph, p->r32->param, (struct plan_options){0}, NULL);
    struct clock clock = {0};
    if (!plan)
        return;
    plan_run(plan, (const float *const *)p->r32->value, p->r32->value[node_of(w->trial)->id]);
    while (clock_next(&clock, w->trial->seconds)) {
        clock.before = bench_now();
        plan_run(plan, (const float *const *)p->r32->value, p->r32->value[node_of(w->trial)->id]);
    }
    clock_report(&clock, w->shared);
    plan_free(plan);
}

static void run_opt_backward(const struct work *w)
{
    const struct pair *p = w->trial->pair;
    struct trainer *t = trainer_new(p->graph, (struct trainer_options){0}, NULL);
    struct ref32_run *r = t ? trainer_run(t) : NULL;
    struct clock clock = {0};
    if (!t)
        return;
    for (int i = 0; i < p->graph->nodes - 1; i++)
        memcpy(r->value[i], p->r32->value[i],
               (size_t)shape_count(&p->graph->node[i]->shape) * sizeof(float));
    for (int i = 0; i < p->graph->params; i++)
        memcpy(r->param[i], p->r32->param[i],
               (size_t)shape_count(&p->graph->param[i].shape) * sizeof(float));
    trainer_forward(t);
    bool ok = trainer_backward(t, w->trial->d_output, NULL);
    while (ok && clock_next(&clock, w->trial->seconds)) {
        clock.before = bench_now();
        trainer_backward(t, w->trial->d_output, NULL);
    }
    if (ok)
        clock_report(&clock, w->shared);
    trainer_free(t);
}

static void run_opt(void *context)
{
    const struct work *w = context;
    if (w->trial->d_output)
        run_opt_backward(w);
    else
        run_opt_forward(w);
}

/* --- memory ------------------------------------------------------------------------- */

static void add_tensor(struct plugin_result *r, const char *name, const struct shape *s,
                       const float *ref32, const double *truth)
{
    const int i = r->tensors++;
    r->name[i] = name;
    r->count[i] = shape_count(s);
    r->ref32[i] = ref32;
    r->truth[i] = truth;
}

static void list_tensors(const struct plugin_trial *t, struct plugin_result *r)
{
    const struct node *n = node_of(t);
    const struct ref32_run *r32 = t->pair->r32;
    const struct ref64_run *r64 = t->pair->r64;
    if (!t->d_output) {
        add_tensor(r, "output", &n->shape, r32->value[n->id], r64->value[n->id]);
        return;
    }
    for (int i = 0; i < n->inputs; i++)
        add_tensor(r, n->in[i]->name, &n->in[i]->shape, r32->d_value[i], r64->d_value[i]);
    for (int i = 0; i < n->params; i++) {
        const struct param *p = &t->pair->graph->param[n->param[i]];
        add_tensor(r, strrchr(p->key, '.') + 1, &p->shape, r32->d_param[n->param[i]],
                   r64->d_param[n->param[i]]);
    }
}

/* One piece: what the child reports, then every array between its guards. */
static bool place_tensors(struct plugin_result *r, struct error *e)
{
    int64_t floats = GUARD;
    for (int i = 0; i < r->tensors; i++)
        floats += r->count[i] + GUARD;
    r->bytes = sizeof(struct shared) + (size_t)floats * sizeof(float);
    r->memory = child_memory(r->bytes);
    if (!r->memory)
        return fail(e, EXIT_USAGE, "out of memory for %zu bytes of results", r->bytes);
    float *at = (float *)((struct shared *)r->memory + 1);
    for (int64_t i = 0; i < floats; i++)
        memcpy(at + i, &guard_bits, sizeof guard_bits);
    at += GUARD;
    for (int i = 0; i < r->tensors; i++, at += GUARD) {
        r->value[i] = at;
        at += r->count[i];
    }
    return true;
}

static bool guard_intact(const float *guard)
{
    for (int i = 0; i < GUARD; i++)
        if (memcmp(guard + i, &guard_bits, sizeof guard_bits))
            return false;
    return true;
}

static void check_guards(struct plugin_result *r)
{
    const char *what = r->tensors > 1 ? "the gradient of " : "";
    for (int i = 0; i < r->tensors && r->outcome == PLUGIN_RAN; i++) {
        const bool before = guard_intact(r->value[i] - GUARD);
        if (before && guard_intact(r->value[i] + r->count[i]))
            continue;
        r->outcome = PLUGIN_BROKEN;
        snprintf(r->how, sizeof r->how, "wrote outside of %s%s, %s the array", what, r->name[i],
                 before ? "behind" : "in front of");
    }
}

/* --- one trial ------------------------------------------------------------------------ */

static double seconds_of(struct work *w, void (*run)(void *))
{
    char how[200];
    *w->shared = (struct shared){0};
    return child_run(run, w, &patience, how, sizeof how) == CHILD_DONE && w->shared->measured
         ? w->shared->seconds : 0;
}

bool plugin_run(const struct plugin_trial *t, struct plugin_result *r, struct error *e)
{
    *r = (struct plugin_result){0};
    if (!plugin_has(t->plugin, node_of(t), t->d_output != NULL)) {
        r->outcome = PLUGIN_MISSING;
        return true;
    }
    list_tensors(t, r);
    if (!place_tensors(r, e))
        return false;
    struct work w = {.trial = t, .result = r, .shared = r->memory};
    *w.shared = (struct shared){0};
    if (child_run(run_plugin, &w, &patience, r->how, sizeof r->how) != CHILD_DONE)
        r->outcome = PLUGIN_BROKEN;
    else if (w.shared->answer)
        r->outcome = PLUGIN_DECLINED;
    r->mine = w.shared->seconds;
    check_guards(r);
    if (r->outcome == PLUGIN_RAN) {
        r->ref = seconds_of(&w, run_ref);
        r->opt = seconds_of(&w, run_opt);
    }
    return true;
}

void plugin_result_free(struct plugin_result *r)
{
    if (r->memory)
        child_memory_free(r->memory, r->bytes);
    *r = (struct plugin_result){0};
}
