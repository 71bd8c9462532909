#include "ablations.h"

#include <stdio.h>
#include <string.h>

/* Top-1 of tables 6 and 9 of arXiv 2211.05778: InternImage-T, ImageNet-1K, 300 epochs. */
const struct ablation ablations[] = {
    {"base", "base", "InternImage", "tables 6, 9", .top1 = 83.5},
    {"unshared", "operator", "a projection per point", "table 6", 83.6, .unshared = true},
    {"one-group", "operator", "no multi-group", "table 6", 82.3, .one_group = true},
    {"sigmoid", "operator", "sigmoid for softmax", "table 6", 65.7,
     .modulation = MODULATION_SIGMOID},
    {"linear", "operator", "logits as modulation", .modulation = MODULATION_LINEAR},
    {"no-modulation", "operator", "every point weighs 1/9", .modulation = MODULATION_NONE},
    {"fixed-offsets", "operator", "the regular window", .fixed_offsets = true},
    {"dcnv2", "operator", "DCNv2: one group, sigmoid, unshared", "table 11", .one_group = true,
     .modulation = MODULATION_SIGMOID, .unshared = true},
    {"conv", "operator", "plain 3x3 convolution", .modulation = MODULATION_NONE,
     .fixed_offsets = true, .unshared = true},
    {"kernel5", "kernel", "5x5 points", "table 9", 83.6, .kernel_size = 5},
    {"kernel7", "kernel", "7x7 points", "table 9", 82.8, .kernel_size = 7},
    {"layer-scale", "norm", "layer scale, from 1e-5", .layer_scale = true},
    {"AAAA", "stacking", "no deep level", "section 3.2", .pattern = "AAAA"},
    {"BAAA", "stacking", "the deep level first", "section 3.2", .pattern = "BAAA"},
    {"ABAA", "stacking", "the deep level second", "section 3.2", .pattern = "ABAA"},
    {"AAAB", "stacking", "the deep level last", "section 3.2", .pattern = "AAAB"},
    {"ABBA", "stacking", "two deep levels", "section 3.2", .pattern = "ABBA"},
    {"phi-1", "scaling", "1.09^-1 D, 1.36^-1 C1", "section 3.2", .phi = -1},
    {"phi1", "scaling", "1.09 D, 1.36 C1", "section 3.2", .phi = 1},
    {"phi2", "scaling", "1.09^2 D, 1.36^2 C1", "section 3.2", .phi = 2},
    {0},
};

const struct ablation *ablation_named(const char *name, struct error *e)
{
    char list[512] = "";
    for (const struct ablation *a = ablations; a->name; a++) {
        if (!strcmp(a->name, name))
            return a;
        snprintf(list + strlen(list), sizeof list - strlen(list), " %s", a->name);
    }
    fail(e, EXIT_USAGE, "no ablation is called '%s'; there are%s", name, list);
    return NULL;
}

/* Compound scaling with the paper's (1.09, 1.36): L1 stays, L3 takes what is left. */
static bool scale(struct internimage_config *c, double phi, struct error *e)
{
    const int group_channels = c->channels / c->groups[0];
    const int depth = c->depths[0] + c->depths[1] + c->depths[2] + c->depths[3];
    const struct scaled s = internimage_scale(depth, c->channels, group_channels, 1.09, 1.36, phi);
    const int rest = s.rounded_depth - 3 * c->depths[0];
    return internimage_stack(c, s.rounded_channels, group_channels, c->depths[0],
                             rest > c->depths[0] ? rest : c->depths[0], e);
}

bool ablation_apply(const struct ablation *a, struct internimage_config *c, struct error *e)
{
    const int usual[] = {c->depths[0], c->depths[2]};
    c->modulation = a->modulation;
    c->fixed_offsets = a->fixed_offsets;
    c->unshared = a->unshared;
    c->layer_scale |= a->layer_scale;
    c->kernel_size = a->kernel_size ? a->kernel_size : c->kernel_size;
    for (int i = 0; i < LEVELS; i++) {
        c->groups[i] = a->one_group ? 1 : c->groups[i];
        c->depths[i] = a->pattern ? usual[a->pattern[i] - 'A'] : c->depths[i];
    }
    if (a->phi != 0 && !scale(c, a->phi, e))
        return false;
    snprintf(c->name, sizeof c->name, "%s", a->name);
    return internimage_check(c, e);
}
