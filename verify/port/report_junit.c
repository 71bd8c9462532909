/* The comparison as a JUnit file. A layer that MINE does not hold is skipped. */
#include "report.h"

#include "verify/junit.h"

static const char *skip_reason(const struct compared *x)
{
    switch (x->layer.state) {
    case PORT_ABSENT: return "not in the port's file";
    case PORT_SAMPLED: return "the port's file holds only samples of it";
    default: return NULL;
    }
}

bool report_junit(const struct report *r, const char *path, struct error *e)
{
    struct junit j;
    char text[1024];
    const struct comparison *c = r->result;
    int skipped = 0;
    for (int i = 0; i < c->count; i++)
        skipped += skip_reason(&c->item[i]) != NULL;
    if (!junit_open(&j, path, "internimage compare", c->count, c->failed, skipped, e))
        return false;
    for (int i = 0; i < c->count; i++) {
        const struct compared *x = &c->item[i];
        const char *skip = skip_reason(x);
        junit_case(&j, port_model(r->port), x->node->name,
                   skip || x->pass ? NULL : report_sentence(r, x, text, sizeof text), skip);
    }
    return junit_close(&j, e);
}
