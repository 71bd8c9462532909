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

/* PyTorch has no module for the image or its copy in NHWC. */
static bool is_layer(const struct compared *x)
{
    return x->layer.state != PORT_ABSENT
        || (x->node->op != OP_input && x->node->op != OP_to_nhwc);
}

bool report_junit(const struct report *r, const char *path, struct error *e)
{
    struct junit j;
    char text[1024];
    const struct comparison *c = r->result;
    int layers = 0, skipped = 0;
    for (int i = 0; i < c->count; i++) {
        layers += is_layer(&c->item[i]);
        skipped += is_layer(&c->item[i]) && skip_reason(&c->item[i]);
    }
    if (!junit_open(&j, path, "internimage compare", layers, c->failed, skipped, e))
        return false;
    for (int i = 0; i < c->count; i++) {
        const struct compared *x = &c->item[i];
        if (!is_layer(x))
            continue;
        const char *skip = skip_reason(x);
        junit_case(&j, port_model(r->port), x->node->name,
                   skip || x->pass ? NULL : report_sentence(r, x, text, sizeof text), skip);
    }
    return junit_close(&j, e);
}
