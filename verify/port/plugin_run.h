/* One case in one direction through a plug-in, and through the reference and the fast side
 * for their speed; each in a child process of its own. */
#ifndef VERIFY_PORT_PLUGIN_RUN_H
#define VERIFY_PORT_PLUGIN_RUN_H

#include "plugin_load.h"
#include "verify/golden.h"

enum { PLUGIN_TENSORS = 5 };

enum plugin_outcome {
    PLUGIN_RAN,
    PLUGIN_MISSING,             /* it has no such function */
    PLUGIN_DECLINED,            /* it returned something else than 0 */
    PLUGIN_BROKEN,              /* it crashed, hung, or wrote outside of its arrays */
};

struct plugin_trial {
    const struct plugin *plugin;
    const struct pair *pair;    /* forward run; for a gradient backward, too */
    const float *d_output;      /* NULL: forward */
    double seconds;             /* to spend on timing each of the three */
};

struct plugin_result {
    enum plugin_outcome outcome;
    char how[200];              /* what is broken, to be read after the case's name */
    double mine, ref, opt;      /* seconds, median; 0: not measured */
    int tensors;                /* the output; or gradients of inputs, then of parameters */
    const char *name[PLUGIN_TENSORS];
    float *value[PLUGIN_TENSORS];
    int64_t count[PLUGIN_TENSORS];
    const double *truth[PLUGIN_TENSORS];
    const float *ref32[PLUGIN_TENSORS];
    void *memory;
    size_t bytes;
};

bool plugin_run(const struct plugin_trial *t, struct plugin_result *r, struct error *e);
void plugin_result_free(struct plugin_result *r);

#endif
