/* The fast side against the double reference: every value a plan leaves behind, on
 * every ISA this machine has. */
#include "golden.h"

#include "opt/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add_value(const struct pair *p, const char *unit, const struct node *n,
                      const float *value, const char *tensor, struct findings *found,
                      struct error *e)
{
    const int64_t count = shape_count(&n->shape);
    struct finding f = {.direction = FORWARD, .chained = true, .condition = 1, .has_opt = true};
    snprintf(f.unit, sizeof f.unit, "%s", unit);
    snprintf(f.tensor, sizeof f.tensor, "%s", tensor);
    f.ref32 = measure32(count, p->r32->value[n->id], p->r64->value[n->id], NULL, NULL);
    f.opt = measure32(count, value, p->r64->value[n->id], NULL, NULL);
    f.ref32_limit = 1;                  /* judged on the lines that have PyTorch's numbers */
    return findings_add(found, &f, e);
}

/* With all memory its own, then again with the arena reused: the output must not differ
 * in a single bit. */
static bool run_isa(const struct pair *p, const char *unit, struct plan_options o,
                    struct findings *found, struct error *e)
{
    const struct graph *g = p->graph;
    const struct node *last = g->node[g->nodes - 1];
    const size_t bytes = (size_t)shape_count(&last->shape) * sizeof(float);
    const float *inputs[MAX_INPUTS];
    int count = 0;
    for (int i = 0; i < g->nodes && count < MAX_INPUTS; i++)
        if (g->node[i]->op == OP_input)
            inputs[count++] = p->r32->value[i];
    float *output = malloc(bytes), *again = malloc(bytes);
    struct plan *plan = plan_new(g, p->r32->param, o, e);
    o.keep = true;
    struct plan *kept = plan ? plan_new(g, p->r32->param, o, e) : NULL;
    bool ok = kept && output && again;
    if (ok) {
        plan_run(kept, inputs, output);
        plan_run(plan, inputs, again);
        plan_run(plan, inputs, again);
        for (int i = 0; ok && i < g->nodes; i++)
            if (g->node[i]->op != OP_input && plan_value(kept, g->node[i]))
                ok = add_value(p, unit, g->node[i], plan_value(kept, g->node[i]),
                               g->node[i]->name, found, e);
        if (memcmp(output, again, bytes))
            again[0] += 1e30f;          /* shows as a failure of the next line */
        ok = ok && add_value(p, unit, last, again, "output, arena reused", found, e);
    }
    plan_free(kept);
    plan_free(plan);
    free(output);
    free(again);
    return ok;
}

/* A run that this machine or build cannot do, or an op that only the reference has, is
 * counted, not failed. */
static bool run_or_skip(const struct pair *p, const char *name, const char *what,
                        struct plan_options o, struct findings *found, struct error *e)
{
    char unit[160];
    struct error why = {0};
    snprintf(unit, sizeof unit, "%s/opt-%s", name, what);
    if (run_isa(p, unit, o, found, &why))
        return true;
    if (why.code != EXIT_NOT_BUILT)
        return fail(e, why.code, "%s", why.text);
    found->skipped++;
    return true;
}

bool golden_opt(const struct pair *p, const char *name, const char *isa, struct findings *found,
                struct error *e)
{
    bool ok = !isa || kernels_select(isa, e);
    for (int i = 0; ok && i < KERNEL_TABLES; i++) {
        if (isa && strcmp(isa, kernel_names[i]))
            continue;
        if (kernels_at(i))
            ok = run_or_skip(p, name, kernel_names[i],
                             (struct plan_options){.isa = kernel_names[i]}, found, e);
        else
            found->skipped++;
    }
    return ok && run_or_skip(p, name, "onednn",
                             (struct plan_options){.isa = isa, .gemm = GEMM_ONEDNN}, found, e);
}
