#include "weights_file.h"
#include "config_file.h"

#include <stdlib.h>
#include <string.h>

static struct h5_file *open_weights(const char *path, struct error *e)
{
    char format[64];
    int64_t version;
    struct h5_file *f = h5_open(path, e);
    if (!f)
        return NULL;
    bool ok = h5_attr_string(f, "", "format", format, sizeof format, e)
           && h5_attr_int(f, "", "version", &version, e);
    if (ok && strcmp(format, "internimage-weights"))
        ok = fail(e, EXIT_BAD_FILE, "%s: its format is '%s', expected 'internimage-weights'", path,
                  format);
    if (ok && version != 1)
        ok = fail(e, EXIT_BAD_FILE, "%s: weight file version %lld, this program reads version 1",
                  path, (long long)version);
    if (ok)
        return f;
    h5_close(f, NULL);
    return NULL;
}

bool weights_config(const char *path, struct internimage_config *c, struct error *e)
{
    struct h5_file *f = open_weights(path, e);
    bool ok = f && config_read(f, path, c, e);
    error_in(e, path);
    h5_close(f, NULL);
    return ok;
}

bool weights_read(const char *path, const struct graph *g, float *const *out, struct error *e)
{
    struct h5_file *f = open_weights(path, e);
    bool ok = f != NULL;
    for (int i = 0; ok && i < g->params; i++)
        ok = param_read(f, "", &g->param[i], out[i], e);
    error_in(e, path);
    h5_close(f, NULL);
    return ok;
}

/* Only an ablated model has them. */
static bool write_ablations(struct h5_file *f, const struct internimage_config *c, struct error *e)
{
    return (c->modulation == MODULATION_SOFTMAX
            || h5_write_attr_int(f, "config.modulation", c->modulation, e))
        && (!c->fixed_offsets || h5_write_attr_int(f, "config.fixed_offsets", 1, e))
        && (!c->unshared || h5_write_attr_int(f, "config.unshared", 1, e));
}

static bool write_list(struct h5_file *f, const char *name, const int *value, int count,
                       struct error *e)
{
    return count == 0 || h5_write_attr_ints(f, name, value, count, e);
}

typedef bool write_function(struct h5_file *f, const char *group, const char *key, int rank,
                            const int64_t *dim, const float *data, struct error *e);

static bool write_with(write_function *write, const char *path, const struct internimage_config *c,
                       const struct graph *g, float *const *values, struct error *e)
{
    struct h5_file *f = h5_create(path, e);
    struct config_number number[CONFIG_NUMBERS];
    config_numbers(c, number);
    bool ok = f && h5_write_attr_string(f, "format", "internimage-weights", e)
           && h5_write_attr_int(f, "version", 1, e)
           && h5_write_attr_double(f, "config.mlp_ratio", c->mlp_ratio, e)
           && h5_write_attr_double(f, "config.offset_scale", c->offset_scale, e)
           && write_list(f, "config.depths", c->depths, LEVELS, e)
           && write_list(f, "config.groups", c->groups, LEVELS, e)
           && write_list(f, "config.level2_post_norm", c->post_norm_ids, c->post_norms, e)
           && write_ablations(f, c, e);
    for (int i = 0; ok && i < CONFIG_NUMBERS; i++)
        ok = h5_write_attr_int(f, number[i].name, number[i].value, e);
    for (int i = 0; ok && i < g->params; i++)
        ok = write(f, "", g->param[i].key, g->param[i].shape.rank, g->param[i].shape.dim, values[i],
                   e);
    return h5_close(f, e) && ok;
}

bool weights_write(const char *path, const struct internimage_config *c, const struct graph *g,
                   float *const *values, struct error *e)
{
    return write_with(h5_write_f32, path, c, g, values, e);
}

bool weights_write_half(const char *path, const struct internimage_config *c,
                        const struct graph *g, float *const *values, struct error *e)
{
    return write_with(h5_write_f16, path, c, g, values, e);
}

float **weights_new(const struct graph *g, struct error *e)
{
    float **values = calloc((size_t)g->params + 1, sizeof *values);
    for (int i = 0; values && i < g->params; i++)
        if (!(values[i] = malloc((size_t)shape_count(&g->param[i].shape) * sizeof(float)))) {
            weights_free(g, values);
            values = NULL;
        }
    if (!values)
        fail(e, EXIT_USAGE, "out of memory for %lld parameters", (long long)graph_parameters(g));
    return values;
}

void weights_free(const struct graph *g, float **values)
{
    for (int i = 0; values && i < g->params; i++)
        free(values[i]);
    free(values);
}
