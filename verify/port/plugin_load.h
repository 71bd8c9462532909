/* A plug-in (plugin.h) in this process: finding its functions and calling them on a node. */
#ifndef VERIFY_PORT_PLUGIN_LOAD_H
#define VERIFY_PORT_PLUGIN_LOAD_H

#include "plugin.h"

#include "ref/ref.h"

struct plugin {
    void *handle;
    char name[64];
    int (*dcnv3_forward)(const struct plugin_dcnv3 *, const float *, const float *, const float *,
                         float *);
    int (*dcnv3_backward)(const struct plugin_dcnv3 *, const float *, const float *, const float *,
                          const float *, float *, float *, float *);
    int (*dcnv2_forward)(const struct plugin_dcnv2 *, const float *, const float *, const float *,
                         const float *, const float *, float *);
    int (*dcnv2_backward)(const struct plugin_dcnv2 *, const float *, const float *, const float *,
                          const float *, const float *, float *, float *, float *, float *,
                          float *);
};

/* Loads it, first in a child process: a library that crashes while it is loaded, has another
 * version or exports nothing of plugin.h is refused with EXIT_BAD_FILE. */
bool plugin_open(const char *path, struct plugin *p, struct error *e);
void plugin_close(struct plugin *p);

/* Whether it has the function that node n (dcnv2 or dcnv3) needs. */
bool plugin_has(const struct plugin *p, const struct node *n, bool backward);
/* The call itself, in this process; returns what the plug-in returned. */
int plugin_forward(const struct plugin *p, const struct node *n, const struct ref32_op_args *a,
                   float *output);
int plugin_backward(const struct plugin *p, const struct node *n, const struct ref32_op_args *a,
                    const float *d_output);

#endif
