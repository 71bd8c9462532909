#include "plugin_load.h"

#include "datasets/child.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const struct child_limits limits = {.seconds = 30};

/* What the child that tries to load it reports back. */
struct probe {
    char path[4096];
    bool loaded, versioned;
    int version;
    char name[64], why[400];
};

static void load(void *context)
{
    struct probe *probe = context;
    void *handle = dlopen(probe->path, RTLD_NOW | RTLD_LOCAL);
    int (*version)(void) = NULL;
    const char *(*name)(void) = NULL;
    if (!handle) {
        snprintf(probe->why, sizeof probe->why, "%s", dlerror());
        return;
    }
    probe->loaded = true;
    *(void **)&version = dlsym(handle, "internimage_plugin_version");
    *(void **)&name = dlsym(handle, "internimage_plugin_name");
    probe->versioned = version && name;
    if (!probe->versioned)
        return;
    probe->version = version();
    const char *text = name();
    snprintf(probe->name, sizeof probe->name, "%s", text ? text : "(no name)");
}

static bool probe_says(const struct probe *p, const char *path, struct error *e)
{
    const size_t length = strlen(path);
    const bool named = !strncmp(p->why, path, length) && !strncmp(p->why + length, ": ", 2);
    if (!p->loaded)                     /* dlerror() mostly starts with the path */
        return fail(e, EXIT_BAD_FILE, "%s: cannot be loaded: %s", path,
                    named ? p->why + length + 2 : p->why);
    if (!p->versioned)
        return fail(e, EXIT_BAD_FILE, "%s: no plug-in, it does not export "
                    "internimage_plugin_version and internimage_plugin_name", path);
    if (p->version != INTERNIMAGE_PLUGIN_VERSION)
        return fail(e, EXIT_BAD_FILE, "%s: a plug-in of version %d, this program runs version %d",
                    path, p->version, INTERNIMAGE_PLUGIN_VERSION);
    return true;
}

/* Whether loading survives, and what the library says of itself. */
static bool probe_library(const char *path, struct plugin *p, struct error *e)
{
    char how[160];
    struct probe *probe = child_memory(sizeof *probe);
    if (!probe)
        return fail(e, EXIT_USAGE, "out of memory");
    snprintf(probe->path, sizeof probe->path, "%s", path);
    bool ok = child_run(load, probe, &limits, how, sizeof how) == CHILD_DONE
            ? probe_says(probe, path, e)
            : fail(e, EXIT_BAD_FILE, "%s: the process that loaded it %s", path, how);
    memcpy(p->name, probe->name, sizeof p->name);
    child_memory_free(probe, sizeof *probe);
    return ok;
}

bool plugin_open(const char *path, struct plugin *p, struct error *e)
{
    char at[4096];
    *p = (struct plugin){0};
    /* dlopen() would search the system for a name without a slash. */
    snprintf(at, sizeof at, "%s%s", strchr(path, '/') ? "" : "./", path);
    if (!probe_library(at, p, e))
        return false;
    p->handle = dlopen(at, RTLD_NOW | RTLD_LOCAL);
    if (!p->handle)
        return fail(e, EXIT_BAD_FILE, "%s cannot be loaded: %s", at, dlerror());
    *(void **)&p->dcnv3_forward = dlsym(p->handle, "internimage_plugin_dcnv3_forward");
    *(void **)&p->dcnv3_backward = dlsym(p->handle, "internimage_plugin_dcnv3_backward");
    *(void **)&p->dcnv2_forward = dlsym(p->handle, "internimage_plugin_dcnv2_forward");
    *(void **)&p->dcnv2_backward = dlsym(p->handle, "internimage_plugin_dcnv2_backward");
    if (p->dcnv3_forward || p->dcnv3_backward || p->dcnv2_forward || p->dcnv2_backward)
        return true;
    plugin_close(p);
    return fail(e, EXIT_BAD_FILE, "%s: it exports none of internimage_plugin_dcnv2_forward, "
                "_dcnv2_backward, _dcnv3_forward, _dcnv3_backward", at);
}

void plugin_close(struct plugin *p)
{
    if (p->handle)
        dlclose(p->handle);
    *p = (struct plugin){0};
}

bool plugin_has(const struct plugin *p, const struct node *n, bool backward)
{
    if (n->op == OP_dcnv3)
        return backward ? p->dcnv3_backward != NULL : p->dcnv3_forward != NULL;
    if (n->op == OP_dcnv2)
        return backward ? p->dcnv2_backward != NULL : p->dcnv2_forward != NULL;
    return false;
}

/* --- calls ---------------------------------------------------------------------- */

static struct plugin_window window(struct window w)
{
    return (struct plugin_window){w.kernel, w.stride, w.pad, w.dilation};
}

static struct plugin_dcnv3 dcnv3_of(const struct node *n)
{
    const int64_t *in = n->in[0]->shape.dim, *out = n->shape.dim;
    return (struct plugin_dcnv3){
        .batch = (int)in[0], .height = (int)in[1], .width = (int)in[2],
        .out_height = (int)out[1], .out_width = (int)out[2], .groups = n->attr.groups,
        .group_channels = (int)in[3] / n->attr.groups, .y = window(n->attr.y),
        .x = window(n->attr.x), .remove_center = n->attr.remove_center,
        .offset_scale = (float)n->attr.offset_scale,
    };
}

static struct plugin_dcnv2 dcnv2_of(const struct node *n)
{
    const int64_t *in = n->in[0]->shape.dim, *out = n->shape.dim;
    return (struct plugin_dcnv2){
        .batch = (int)in[0], .in_channels = (int)in[1], .height = (int)in[2], .width = (int)in[3],
        .out_channels = (int)out[1], .out_height = (int)out[2], .out_width = (int)out[3],
        .groups = n->attr.groups, .offset_groups = n->attr.offset_groups,
        .y = window(n->attr.y), .x = window(n->attr.x),
    };
}

int plugin_forward(const struct plugin *p, const struct node *n, const struct ref32_op_args *a,
                   float *output)
{
    if (n->op == OP_dcnv3) {
        const struct plugin_dcnv3 s = dcnv3_of(n);
        return p->dcnv3_forward(&s, a->in[0], a->in[1], a->in[2], output);
    }
    const struct plugin_dcnv2 s = dcnv2_of(n);
    return p->dcnv2_forward(&s, a->in[0], a->in[1], a->in[2], a->param[0], a->param[1], output);
}

int plugin_backward(const struct plugin *p, const struct node *n, const struct ref32_op_args *a,
                    const float *d_output)
{
    if (n->op == OP_dcnv3) {
        const struct plugin_dcnv3 s = dcnv3_of(n);
        return p->dcnv3_backward(&s, a->in[0], a->in[1], a->in[2], d_output, a->d_in[0],
                                 a->d_in[1], a->d_in[2]);
    }
    const struct plugin_dcnv2 s = dcnv2_of(n);
    return p->dcnv2_backward(&s, a->in[0], a->in[1], a->in[2], a->param[0], d_output, a->d_in[0],
                             a->d_in[1], a->d_in[2], a->d_param[0], a->d_param[1]);
}
