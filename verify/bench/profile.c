/* Where a plan's time goes, by kind of step. */
#include "report.h"

#include "verify/table.h"

#include <stdio.h>
#include <string.h>

void report_profile(const struct plan *plan)
{
    struct table t = {0};
    double total = 0, shown = 0;
    const char *kind[64];
    int kinds = 0;
    for (int i = 0; i < plan_steps(plan); i++)
        total += plan_step(plan, i).seconds;
    table_row(&t, "step|ms|share|GFLOP/s|steps");
    for (int i = 0; i < plan_steps(plan); i++) {
        const char *name = plan_step(plan, i).kind;
        int k = 0;
        while (k < kinds && strcmp(kind[k], name))
            k++;
        if (k < kinds || kinds == 64)
            continue;
        kind[kinds++] = name;
        double seconds = 0, flops = 0;
        int count = 0;
        for (int s = i; s < plan_steps(plan); s++) {
            struct plan_step_info info = plan_step(plan, s);
            if (strcmp(info.kind, name))
                continue;
            seconds += info.seconds;
            flops += info.flops;
            count++;
        }
        shown += seconds;
        table_row(&t, "%s|%.3f|%.1f %%|%.1f|%d", name, 1e3 * seconds, 100 * seconds / total,
                  1e-9 * flops / seconds, count);
    }
    table_row(&t, "all|%.3f|%.1f %%||%d", 1e3 * total, 100 * shown / total, plan_steps(plan));
    table_print(&t, stdout);
    table_free(&t);
    putchar('\n');
}
