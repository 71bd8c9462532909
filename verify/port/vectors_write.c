/* Writing the suite. */
#include "vectors.h"

#include "datasets/config_file.h"
#include "ref/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- attributes ------------------------------------------------------------------------ */

#define OPS(name) (1u << OP_##name)
#define WINDOWED (OPS(conv2d) | OPS(dwconv2d) | OPS(dcnv2) | OPS(dcnv3))

static bool write_attributes(struct vector_file *f, const struct node *n, struct error *e)
{
    const struct attr *a = &n->attr;
    const struct { const char *name; int value; unsigned ops; } number[] = {
        {"kernel_h", a->y.kernel, WINDOWED}, {"kernel_w", a->x.kernel, WINDOWED},
        {"stride_h", a->y.stride, WINDOWED}, {"stride_w", a->x.stride, WINDOWED},
        {"pad_h", a->y.pad, WINDOWED}, {"pad_w", a->x.pad, WINDOWED},
        {"dilation_h", a->y.dilation, WINDOWED}, {"dilation_w", a->x.dilation, WINDOWED},
        {"groups", a->groups, OPS(conv2d) | OPS(dcnv2) | OPS(dcnv3) | OPS(center_feature_scale)},
        {"offset_groups", a->offset_groups, OPS(dcnv2)},
        {"out_channels", a->out_channels, OPS(conv2d) | OPS(dcnv2) | OPS(linear)},
        {"bias", a->bias, OPS(conv2d) | OPS(dwconv2d) | OPS(linear) | OPS(dcnv2)},
        {"remove_center", a->remove_center, OPS(dcnv3)}, {"points", a->points, OPS(softmax)},
        {"factor", a->factor, OPS(pixel_shuffle)}, {"heads", a->heads, OPS(attention_pool)},
    };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        if (number[i].ops >> n->op & 1
            && !vector_attr_int(f, number[i].name, number[i].value, e))
            return false;
    if (n->op == OP_dcnv3 && !vector_attr_double(f, "offset_scale", a->offset_scale, e))
        return false;
    return (n->op != OP_layer_norm && n->op != OP_batch_norm)
        || vector_attr_double(f, "eps", a->eps, e);
}

static bool write_config(struct vector_file *f, const struct internimage_config *c,
                         struct error *e)
{
    struct config_number number[CONFIG_NUMBERS];
    config_numbers(c, number);
    for (int i = 0; i < CONFIG_NUMBERS; i++)
        if (!vector_attr_int(f, number[i].name, number[i].value, e))
            return false;
    return vector_attr_double(f, "config.mlp_ratio", c->mlp_ratio, e)
        && vector_attr_double(f, "config.offset_scale", c->offset_scale, e)
        && vector_attr_ints(f, "config.depths", c->depths, LEVELS, e)
        && vector_attr_ints(f, "config.groups", c->groups, LEVELS, e)
        && (!c->post_norms
            || vector_attr_ints(f, "config.level2_post_norm", c->post_norm_ids, c->post_norms, e));
}

/* --- tensors ----------------------------------------------------------------------------- */

/* "op.weight" and "dcn.mask.weight" are stored without what is before the first dot. */
static const char *short_name(const char *name)
{
    if (!strncmp(name, "op.", 3))
        return name + 3;
    return strncmp(name, "dcn.", 4) ? name : name + 4;
}

static double envelope(int64_t count, const float *v32, const double *v64, double condition)
{
    const struct metrics m = measure32(count, v32, v64, NULL, NULL);
    return envelope_of(m.rel_rms, condition);
}

/* Inputs and parameters; params NULL: these are known by their seed. */
static bool write_given(struct vector_file *f, const struct pair *p, const char *inputs,
                        const char *params, struct error *e)
{
    const struct graph *g = p->graph;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input
            && !vector_given(f, inputs, g->node[i]->name, &g->node[i]->shape, p->r32->value[i], e))
            return false;
    for (int i = 0; params && i < g->params; i++)
        if (!vector_given(f, params, short_name(g->param[i].key), &g->param[i].shape,
                          p->r32->param[i], e))
            return false;
    return true;
}

static bool write_gradient(struct vector_file *f, const char *name, const struct shape *s,
                           const float *v32, const double *v64, double condition, struct error *e)
{
    char key[200];
    snprintf(key, sizeof key, "grad/%s", name);
    return vector_expected(f, key, s, v64, envelope(shape_count(s), v32, v64, condition), e);
}

static bool write_gradients(struct vector_file *f, struct pair *p, const float *d_output,
                            double condition, struct error *e)
{
    const struct graph *g = p->graph;
    const struct node *last = g->node[g->nodes - 1];
    if (!vector_given(f, "", "grad_output", &last->shape, d_output, e)
        || !pair_backward(p, d_output, e))
        return false;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i]->op == OP_input
            && !write_gradient(f, g->node[i]->name, &g->node[i]->shape, p->r32->d_value[i],
                               p->r64->d_value[i], condition, e))
            return false;
    for (int i = 0; i < g->params; i++)
        if (!g->param[i].buffer
            && !write_gradient(f, short_name(g->param[i].key), &g->param[i].shape,
                               p->r32->d_param[i], p->r64->d_param[i], condition, e))
            return false;
    return true;
}

static float *d_output_of(const char *name, const struct pair *p, struct error *e)
{
    char stream[200];
    const int64_t count = shape_count(&p->graph->node[p->graph->nodes - 1]->shape);
    float *v = malloc((size_t)count * sizeof *v);
    if (!v) {
        fail(e, EXIT_USAGE, "out of memory for the gradient of %s", name);
        return NULL;
    }
    snprintf(stream, sizeof stream, "%s/grad_output", name);
    seeded_uniform(stream, SUITE_SEED, count, v);
    return v;
}

/* --- cases --------------------------------------------------------------------------------- */

bool vector_write_op(struct vector_file *f, const char *name, struct pair *p, double condition,
                     const float *d_output, struct error *e)
{
    const struct node *last = p->graph->node[p->graph->nodes - 1];
    if (!vector_case_begin(f, name, ref64_op_row(last->op)->name, e)
        || !write_attributes(f, last, e)
        || (condition > 1 && !vector_attr_double(f, "condition", condition, e)))
        return false;
    vector_case_tensors(f);
    pair_forward(p, NULL, NULL);
    const bool ok = write_given(f, p, "in", "param", e)
        && vector_expected(f, "output", &last->shape, p->r64->value[last->id],
                           envelope(shape_count(&last->shape), p->r32->value[last->id],
                                    p->r64->value[last->id], condition), e)
        && (!d_output || write_gradients(f, p, d_output, condition, e));
    vector_case_end(f);
    return ok;
}

static bool write_op(void *context, const char *name, struct pair *p, double condition,
                     struct error *e)
{
    float *d_output = d_output_of(name, p, e);
    const bool ok = d_output && vector_write_op(context, name, p, condition, d_output, e);
    free(d_output);
    return ok;
}

static bool write_ops(struct vector_folder *d, struct error *e)
{
    struct vector_file f;
    if (!vector_file_open(&f, &d->manifest, d->path, "ops", "ops", e))
        return false;
    json_open(f.manifest, "cases", '[');
    bool ok = suite_ops(write_op, &f, e);
    json_close(f.manifest, ']');
    return vector_file_close(&f, e) && ok;
}

/* Every value a layer or model computes, under its PyTorch name. */
static bool write_activations(struct vector_file *f, const struct pair *p, bool sampled,
                              struct error *e)
{
    const struct graph *g = p->graph;
    bool ok = true;
    for (int i = 0; ok && i < g->nodes; i++) {
        const struct node *n = g->node[i];
        const int64_t count = shape_count(&n->shape);
        const double part = envelope(count, p->r32->value[i], p->r64->value[i], 1);
        if (n->op == OP_input)
            continue;
        ok = sampled && count > 2048
           ? vector_sampled(f, short_name(n->name), &n->shape, p->r64->value[i], part, e)
           : vector_expected(f, short_name(n->name), &n->shape, p->r64->value[i], part, e);
    }
    return ok;
}

static bool write_module(struct vector_file *f, const struct suite_module *m, struct pair *p,
                         struct error *e)
{
    const struct internimage_config *c = &m->config;
    if (!vector_case_begin(f, m->name, "dcnv3_module", e)
        || !vector_attr_int(f, "groups", m->groups, e)
        || !vector_attr_int(f, "kernel_size", c->kernel_size, e)
        || !vector_attr_int(f, "dw_kernel_size", c->dw_kernel_size ? c->dw_kernel_size
                                                                   : c->kernel_size, e)
        || !vector_attr_double(f, "offset_scale", c->offset_scale, e)
        || !vector_attr_int(f, "remove_center", c->remove_center, e)
        || !vector_attr_int(f, "center_feature_scale", c->center_feature_scale, e))
        return false;
    vector_case_tensors(f);
    pair_forward(p, NULL, NULL);
    float *d_output = d_output_of(m->name, p, e);
    const bool ok = d_output && write_given(f, p, "in", "param", e)
                 && write_activations(f, p, false, e) && write_gradients(f, p, d_output, 1, e);
    free(d_output);
    vector_case_end(f);
    return ok;
}

static bool write_modules(struct vector_folder *d, struct error *e)
{
    struct vector_file f;
    if (!vector_file_open(&f, &d->manifest, d->path, "modules", "modules", e))
        return false;
    json_open(f.manifest, "cases", '[');
    bool ok = true;
    for (int i = 0; ok && i < suite_module_count; i++) {
        struct pair p = {0};
        struct graph *g = suite_module_graph(&suite_modules[i], e);
        ok = g && pair_new(&p, g, e) && suite_fill(&p, e)
          && write_module(&f, &suite_modules[i], &p, e);
        pair_free(&p);
    }
    json_close(f.manifest, ']');
    return vector_file_close(&f, e) && ok;
}

static bool write_model(struct vector_file *f, const struct suite_model *m, struct error *e)
{
    struct internimage_config c;
    struct pair p = {0};
    struct graph *g = suite_model_config(m->name, &c, e)
                    ? internimage_graph(&c, m->batch, m->height, m->width, e) : NULL;
    if (!g || !pair_new(&p, g, e))
        return false;
    json_open(f->manifest, "attributes", '{');
    bool ok = suite_fill(&p, e) && h5_write_attr_string(f->h5, "model", m->name, e)
           && vector_attr_int(f, "seed", SUITE_SEED, e) && write_config(f, &c, e);
    vector_case_tensors(f);
    pair_forward(&p, NULL, NULL);
    ok = ok && write_given(f, &p, "", m->sampled ? NULL : "params", e)
      && write_activations(f, &p, m->sampled, e);
    json_close(f->manifest, ']');
    pair_free(&p);
    return ok;
}

/* --only's test of a file's name. */
static bool begins(const char *name, const char *only)
{
    return !only || !strncmp(name, only, strlen(only));
}

static bool write_models(struct vector_folder *d, const char *only, struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && i < suite_model_count; i++) {
        const struct suite_model *m = &suite_models[i];
        struct vector_file f;
        if (!begins(m->name, only))
            continue;
        ok = vector_file_open(&f, &d->manifest, d->path, m->name, "model", e)
          && write_model(&f, m, e);
        ok = vector_file_close(&f, e) && ok;
    }
    return ok;
}

/* --- the folder ----------------------------------------------------------------------------- */

bool vector_folder_open(struct vector_folder *d, const char *path, struct error *e)
{
    char file[4096];
    *d = (struct vector_folder){.path = path, .manifest = {.first = true}};
    if (mkdir(path, 0777) && errno != EEXIST)
        return fail(e, EXIT_USAGE, "%s: cannot be made: %s", path, strerror(errno));
    snprintf(file, sizeof file, "%s/manifest.json", path);
    d->manifest.to = fopen(file, "w");
    if (!d->manifest.to)
        return fail(e, EXIT_USAGE, "%s: cannot be written: %s", file, strerror(errno));
    json_open(&d->manifest, NULL, '{');
    json_string(&d->manifest, "format", "internimage-vectors");
    json_int(&d->manifest, "version", 1);
    json_number(&d->manifest, "k", ENVELOPE_K);
    json_open(&d->manifest, "files", '[');
    return true;
}

bool vector_folder_close(struct vector_folder *d, struct error *e)
{
    json_close(&d->manifest, ']');
    json_close(&d->manifest, '}');
    const bool written = !ferror(d->manifest.to);
    return (fclose(d->manifest.to) == 0 && written)
        || fail(e, EXIT_USAGE, "%s/manifest.json cannot be written", d->path);
}

bool vectors_write(const char *folder, const char *only, struct error *e)
{
    struct vector_folder d;
    bool any = begins("ops", only) || begins("modules", only);
    for (int i = 0; i < suite_model_count; i++)
        any = any || begins(suite_models[i].name, only);
    if (!any)
        return fail(e, EXIT_USAGE, "no file of the suite has a name that begins with '%s'", only);
    if (!vector_folder_open(&d, folder, e))
        return false;
    bool ok = !begins("ops", only) || write_ops(&d, e);
    ok = ok && (!begins("modules", only) || write_modules(&d, e));
    ok = ok && write_models(&d, only, e) && vector_readme(folder, e);
    return vector_folder_close(&d, e) && ok;
}
