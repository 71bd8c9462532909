/* internimage verify --plugin: every DCN case of a golden file, and a few layers of real
 * size, through a plug-in; correctness and speed beside the reference and the fast side. */
#ifndef VERIFY_PORT_PLUGIN_VERIFY_H
#define VERIFY_PORT_PLUGIN_VERIFY_H

#include "verify/golden.h"

struct plugin_options {
    const char *library;        /* the shared object */
    const char *goldens;        /* golden file of ops, or a directory with ops.h5 */
    const char *filter, *only;  /* as in golden_options */
    bool json;
};

/* Prints the table; returns EXIT_MATCH, EXIT_MISMATCH, EXIT_INCONCLUSIVE when the plug-in
 * did none of the cases, or an error's code with *e filled. */
int plugin_verify(const struct plugin_options *o, struct error *e);

#endif
