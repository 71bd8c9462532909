/* A finding in words, and all of them as a JUnit file. */
#include "finding.h"
#include "junit.h"

#include <stdio.h>

const char *finding_text(const struct finding *f, char *text, int size)
{
    int used = snprintf(text, (size_t)size, "%s  %s%s: ref32 %.2e (limit %.2e)", f->unit,
                        f->direction == GRADIENT ? "gradient of " : "", f->tensor,
                        f->ref32.rel_rms, f->ref32_limit);
    if (f->has32 && used < size)
        used += snprintf(text + used, (size_t)(size - used), ", torch32 %.2e (limit %.2e)",
                         f->torch32.rel_rms, f->torch32_limit);
    if (f->has_opt && used < size)
        used += snprintf(text + used, (size_t)(size - used), ", opt %.2e (limit %.2e) at %lld",
                         f->opt.rel_rms, f->torch32_limit, (long long)f->opt.max_at);
    if (f->has64 && used < size)
        snprintf(text + used, (size_t)(size - used), ", torch64 %.2e (limit %.0e)",
                 f->torch64.rel_rms, DOUBLE_LIMIT);
    return text;
}

bool findings_junit(const struct findings *list, const char *path, struct error *e)
{
    struct junit j;
    int failed = 0;
    for (int i = 0; i < list->count; i++)
        failed += !list->item[i].pass;
    if (!junit_open(&j, path, "internimage verify", list->count, failed, 0, e))
        return false;
    for (int i = 0; i < list->count; i++) {
        const struct finding *f = &list->item[i];
        char text[512], name[160];
        snprintf(name, sizeof name, "%s%s", f->direction == GRADIENT ? "gradient of " : "", f->tensor);
        junit_case(&j, f->unit, name, f->pass ? NULL : finding_text(f, text, sizeof text), NULL);
    }
    return junit_close(&j, e);
}
