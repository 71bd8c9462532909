/* The published variants, our small ones, and the rules they were made by. */
#include "internimage.h"

#include <math.h>
#include <string.h>

/* Configuration files of the official repository; table 1 of the paper. G is not
 * in the paper. */
static const struct internimage_config published[] = {
    {.name = "pico", .channels = 16, .depths = {1, 1, 2, 1}, .groups = {2, 4, 8, 16},
     .num_classes = 10},
    {.name = "t", .channels = 64, .depths = {4, 4, 18, 4}, .groups = {4, 8, 16, 32}},
    {.name = "s", .channels = 80, .depths = {4, 4, 21, 4}, .groups = {5, 10, 20, 40},
     .layer_scale = true, .post_norm = true},
    {.name = "b", .channels = 112, .depths = {4, 4, 21, 4}, .groups = {7, 14, 28, 56},
     .layer_scale = true, .post_norm = true},
    {.name = "l", .channels = 160, .depths = {5, 5, 22, 5}, .groups = {10, 20, 40, 80},
     .layer_scale = true, .post_norm = true, .offset_scale = 2},
    {.name = "xl", .channels = 192, .depths = {5, 5, 24, 5}, .groups = {12, 24, 48, 96},
     .layer_scale = true, .post_norm = true, .offset_scale = 2},
    {.name = "h", .channels = 320, .depths = {6, 6, 32, 6}, .groups = {10, 20, 40, 80},
     .res_post_norm = true, .dw_kernel_size = 5, .center_feature_scale = true,
     .clip_projector = true, .post_norm_ids = {5, 11, 17, 23, 29}, .post_norms = 5},
    {.name = "g", .channels = 512, .depths = {2, 2, 48, 4}, .groups = {16, 32, 64, 128},
     .post_norm = true, .dw_kernel_size = 5, .center_feature_scale = true,
     .clip_projector = true, .post_norm_ids = {5, 11, 17, 23, 29, 35, 41, 47}, .post_norms = 8},
};

static void fill_defaults(struct internimage_config *c)
{
    c->mlp_ratio = c->mlp_ratio ? c->mlp_ratio : 4;
    c->kernel_size = c->kernel_size ? c->kernel_size : 3;
    c->offset_scale = c->offset_scale ? c->offset_scale : 1;
    c->num_classes = c->num_classes ? c->num_classes : 1000;
    if (!c->clip_dim) {
        c->clip_dim = 1024;
        c->clip_heads = 16;
        c->clip_out = 768;
    }
}

bool internimage_named(const char *name, struct internimage_config *c, struct error *e)
{
    const char *prefix = "internimage_";
    if (!strncmp(name, prefix, strlen(prefix)))
        name += strlen(prefix);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        if (strcmp(published[i].name, name))
            continue;
        *c = published[i];
        fill_defaults(c);
        return true;
    }
    return fail(e, EXIT_USAGE, "no model is called '%s'; there are pico t s b l xl h g", name);
}

static bool level_is_sane(const struct internimage_config *c, int i, struct error *e)
{
    const int channels = c->channels << i;
    if (c->depths[i] < 1 || c->depths[i] > 1000)
        return fail(e, EXIT_USAGE, "%s: level %d has %d blocks", c->name, i, c->depths[i]);
    if (c->groups[i] < 1 || channels % c->groups[i])
        return fail(e, EXIT_USAGE, "%s: level %d has %d channels in %d groups", c->name, i,
                    channels, c->groups[i]);
    return true;
}

bool internimage_check(const struct internimage_config *c, struct error *e)
{
    const int dw = c->dw_kernel_size ? c->dw_kernel_size : c->kernel_size;
    if (c->channels < 2 || c->channels > 65536 || c->channels % 2)
        return fail(e, EXIT_USAGE, "%s: channels is %d, must be even and 2..65536", c->name,
                    c->channels);
    for (int i = 0; i < LEVELS; i++)
        if (!level_is_sane(c, i, e))
            return false;
    if (c->kernel_size < 1 || c->kernel_size > 63 || c->kernel_size % 2 == 0 || dw < 1 || dw > 63
        || dw % 2 == 0)
        return fail(e, EXIT_USAGE, "%s: kernels %d and %d (depthwise) must be odd, 1..63",
                    c->name, c->kernel_size, dw);
    if (!(c->mlp_ratio * c->channels >= 1 && c->mlp_ratio <= 64) || !isfinite(c->offset_scale))
        return fail(e, EXIT_USAGE, "%s: mlp_ratio %g or offset_scale %g makes no sense", c->name,
                    c->mlp_ratio, c->offset_scale);
    if (c->modulation < 0 || c->modulation >= MODULATIONS)
        return fail(e, EXIT_USAGE, "%s: there is no modulation %d", c->name, c->modulation);
    if (c->unshared && (c->remove_center || c->offset_scale != 1))
        return fail(e, EXIT_USAGE, "%s: unshared weights go with offset_scale 1 and the whole "
                    "window", c->name);
    if (c->num_classes < 1 || c->num_classes > 1 << 24 || c->post_norms < 0
        || c->post_norms > MAX_POST_NORMS)
        return fail(e, EXIT_USAGE, "%s: %d classes, %d post norms", c->name, c->num_classes,
                    c->post_norms);
    if (!(c->drop_path >= 0 && c->drop_path < 1) || c->image_size < 0)
        return fail(e, EXIT_USAGE, "%s: drop path %g, must be 0..1; image size %d", c->name,
                    c->drop_path, c->image_size);
    if (c->clip_projector && (c->clip_dim < 1 || c->clip_dim > 65536 || c->clip_heads < 1
                              || c->clip_dim % c->clip_heads || c->clip_out < 1))
        return fail(e, EXIT_USAGE, "%s: clip projector %d wide with %d heads, %d out", c->name,
                    c->clip_dim, c->clip_heads, c->clip_out);
    return true;
}

bool internimage_stack(struct internimage_config *c, int channels, int group_channels, int depth1,
                       int depth3, struct error *e)
{
    if (group_channels < 1 || channels < 1 || channels % group_channels)
        return fail(e, EXIT_USAGE, "stacking rule: C1 = %d is no multiple of C' = %d", channels,
                    group_channels);
    if (depth1 < 1 || depth1 > depth3)
        return fail(e, EXIT_USAGE, "stacking rule: L1 = %d must be 1..L3 = %d", depth1, depth3);
    c->channels = channels;
    for (int i = 0; i < LEVELS; i++) {
        c->groups[i] = (channels << i) / group_channels;
        c->depths[i] = i == 2 ? depth3 : depth1;
    }
    return true;
}

struct scaled internimage_scale(int depth, int channels, int group_channels, double alpha,
                                double beta, double phi)
{
    struct scaled s = {.depth = depth * pow(alpha, phi), .channels = channels * pow(beta, phi)};
    s.rounded_depth = (int)lround(s.depth);
    s.rounded_channels = group_channels * (int)lround(s.channels / group_channels);
    return s;
}
