#include "config_file.h"

#include <stdio.h>
#include <string.h>

static bool read_int(struct h5_file *f, const char *name, int *out, struct error *e)
{
    int64_t value;
    if (!h5_attr_int(f, "", name, &value, e))
        return false;
    if (value < -(1 << 30) || value > 1 << 30)
        return fail(e, EXIT_BAD_FILE, "attribute %s is %lld", name, (long long)value);
    *out = (int)value;
    return true;
}

static bool read_flag(struct h5_file *f, const char *name, bool *out, struct error *e)
{
    int value = 0;
    if (h5_has_attr(f, "", name) && !read_int(f, name, &value, e))
        return false;
    *out = value != 0;
    return true;
}

/* A list of at most `most` small integers; *count is how many there are. */
static bool read_list(struct h5_file *f, const char *name, int *out, int most, int *count,
                      struct error *e)
{
    int64_t value[32];
    *count = 0;
    if (!h5_attr_ints(f, "", name, value, most, count, e))
        return false;
    for (int i = 0; i < *count; i++) {
        if (value[i] < 0 || value[i] > 1 << 24)
            return fail(e, EXIT_BAD_FILE, "attribute %s has the value %lld", name,
                        (long long)value[i]);
        out[i] = (int)value[i];
    }
    return true;
}

static bool read_levels(struct h5_file *f, const char *name, int *out, struct error *e)
{
    int count;
    if (!read_list(f, name, out, LEVELS, &count, e))
        return false;
    return count == LEVELS
        || fail(e, EXIT_BAD_FILE, "attribute %s has %d values, expected %d", name, count, LEVELS);
}

static bool read_sizes(struct h5_file *f, struct internimage_config *c, struct error *e)
{
    return read_int(f, "config.channels", &c->channels, e)
        && read_levels(f, "config.depths", c->depths, e)
        && read_levels(f, "config.groups", c->groups, e)
        && h5_attr_double(f, "", "config.mlp_ratio", &c->mlp_ratio, e)
        && read_int(f, "config.kernel_size", &c->kernel_size, e)
        && (!h5_has_attr(f, "", "config.dw_kernel_size")
            || read_int(f, "config.dw_kernel_size", &c->dw_kernel_size, e))
        && h5_attr_double(f, "", "config.offset_scale", &c->offset_scale, e)
        && (!h5_has_attr(f, "", "config.image_size")
            || read_int(f, "config.image_size", &c->image_size, e))
        && read_int(f, "config.num_classes", &c->num_classes, e);
}

static bool read_modulation(struct h5_file *f, struct internimage_config *c, struct error *e)
{
    int value = 0;
    if (h5_has_attr(f, "", "config.modulation") && !read_int(f, "config.modulation", &value, e))
        return false;
    c->modulation = (enum modulation)value;
    return (value >= 0 && value < MODULATIONS)
        || fail(e, EXIT_BAD_FILE, "attribute config.modulation is %d", value);
}

static bool read_flags(struct h5_file *f, struct internimage_config *c, struct error *e)
{
    return read_flag(f, "config.layer_scale", &c->layer_scale, e)
        && read_flag(f, "config.post_norm", &c->post_norm, e)
        && read_flag(f, "config.res_post_norm", &c->res_post_norm, e)
        && read_flag(f, "config.center_feature_scale", &c->center_feature_scale, e)
        && read_flag(f, "config.remove_center", &c->remove_center, e)
        && read_flag(f, "config.clip_projector", &c->clip_projector, e)
        && read_flag(f, "config.fixed_offsets", &c->fixed_offsets, e)
        && read_flag(f, "config.unshared", &c->unshared, e)
        && read_modulation(f, c, e)
        && (!h5_has_attr(f, "", "config.level2_post_norm")
            || read_list(f, "config.level2_post_norm", c->post_norm_ids, MAX_POST_NORMS,
                         &c->post_norms, e));
}

static bool read_clip(struct h5_file *f, struct internimage_config *c, struct error *e)
{
    return !c->clip_projector
        || (read_int(f, "config.clip_dim", &c->clip_dim, e)
            && read_int(f, "config.clip_heads", &c->clip_heads, e)
            && read_int(f, "config.clip_out", &c->clip_out, e));
}

bool config_read(struct h5_file *f, const char *path, struct internimage_config *c,
                 struct error *e)
{
    struct error why = {0};
    *c = (struct internimage_config){.name = "custom"};
    if (read_sizes(f, c, e) && read_flags(f, c, e) && read_clip(f, c, e)) {
        if (internimage_check(c, &why))
            return true;
        return fail(e, EXIT_BAD_FILE, "%s: impossible architecture: %s", path, why.text);
    }
    return false;
}

void config_numbers(const struct internimage_config *c, struct config_number to[CONFIG_NUMBERS])
{
    const struct config_number all[CONFIG_NUMBERS] = {
        {"config.channels", c->channels}, {"config.kernel_size", c->kernel_size},
        {"config.dw_kernel_size", c->dw_kernel_size}, {"config.layer_scale", c->layer_scale},
        {"config.post_norm", c->post_norm}, {"config.res_post_norm", c->res_post_norm},
        {"config.center_feature_scale", c->center_feature_scale},
        {"config.remove_center", c->remove_center}, {"config.clip_projector", c->clip_projector},
        {"config.clip_dim", c->clip_dim}, {"config.clip_heads", c->clip_heads},
        {"config.clip_out", c->clip_out}, {"config.num_classes", c->num_classes},
        {"config.image_size", c->image_size},
    };
    memcpy(to, all, sizeof all);
}

bool param_read(struct h5_file *f, const char *group, const struct param *p, float *out,
                struct error *e)
{
    struct h5_info info;
    char want[64];
    if (!h5_describe(f, group, p->key, &info, e))
        return false;
    bool same = info.rank == p->shape.rank;
    for (int i = 0; same && i < info.rank; i++)
        same = info.dim[i] == p->shape.dim[i];
    if (!same)
        return fail(e, EXIT_BAD_FILE, "parameter %s has %lld values in %d dimensions, expected %s",
                    p->key, (long long)info.count, info.rank,
                    shape_text(&p->shape, want, sizeof want));
    return h5_read_f32_into(f, group, p->key, info.count, out, e);
}
