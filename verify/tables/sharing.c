/* tables sharing: what sharing weights among sampling points saves (figure 4). */
#include "tables.h"

#include "verify/table.h"

#include <math.h>
#include <stdio.h>

static double squares(const struct internimage_config *c)
{
    double sum = 0;
    for (int i = 0; i < LEVELS; i++)
        sum += c->depths[i] * pow(c->channels << i, 2);
    return sum;
}

/* Sampled values of one image, K*K*C per pixel and layer: what a product with unshared
 * weights reads, and what training has to keep for it. */
static double samples(const struct internimage_config *c, int size)
{
    double sum = 0;
    for (int i = 0; i < LEVELS; i++)
        sum += c->depths[i] * pow(c->kernel_size, 2) * (c->channels << i)
             * pow(size / (4 << i), 2);
    return sum;
}

bool sharing_of(const char *model, int size, struct sharing *s, struct error *e)
{
    struct internimage_config c;
    struct cost shared, unshared;
    if (!internimage_named(model, &c, e) || !cost_of(&c, size, &shared, e))
        return false;
    c.unshared = true;
    c.offset_scale = 1;                 /* changes no count */
    if (!cost_of(&c, size, &unshared, e))
        return false;
    *s = (struct sharing){
        .shared = (double)shared.parameters, .unshared = (double)unshared.parameters,
        .saved = 100 * (1 - (double)shared.parameters / (double)unshared.parameters),
        .kept_mb = shared.values * 4 / 1e6, .samples_mb = samples(&c, size) * 4 / 1e6,
    };
    s->memory_saved = 100 * s->samples_mb / (s->kept_mb + s->samples_mb);
    return true;
}

static bool guesses(struct error *e)
{
    struct internimage_config t, h;
    struct cost cost_t, cost_h;
    if (!internimage_named("t", &t, e) || !internimage_named("h", &h, e))
        return false;
    h.center_feature_scale = h.clip_projector = false;
    if (!cost_of(&t, 32, &cost_t, e) || !cost_of(&h, 32, &cost_h, e))
        return false;
    const double more_t = squares(&t) * (8 + 9.0 / 16), more_h = squares(&h) * (8 + 9.0 / 32);
    printf("\nOur definition: output_proj, C x C, becomes one projection per sampling point,\n"
           "9 x C x C, which is DCNv2's operator behind DCNv3's offset branch. The paper gives\n"
           "+66.1 %% for T and 42.0 %% saved at H and no definition. One linear layer of the\n"
           "modulation's size (C x 9G) more per block would give %+.1f %% at T and, with H as the\n"
           "paper's text describes it (no center feature scale, T's head: %.2f M parameters,\n"
           "which rounds to its 1.08 G), %.1f %% saved. That fits, and remains a guess.\n",
           100 * more_t / (double)cost_t.parameters, (double)cost_h.parameters / 1e6,
           100 * more_h / ((double)cost_h.parameters + more_h));
    return true;
}

int tables_sharing(struct error *e)
{
    static const char *const model[] = {"t", "s", "b", "l", "xl", "h"};
    struct table t = {0};
    table_row(&t, "model|shared|unshared|more|saved|paper|MB kept|MB of samples|saved|of the operator|"
                  "paper");
    for (int i = 0; i < 6; i++) {
        struct internimage_config c;
        struct sharing s;
        if (!internimage_named(model[i], &c, e) || !sharing_of(model[i], 224, &s, e))
            return EXIT_USAGE;
        const double branch = 27.0 * c.groups[0] / c.channels;
        table_row(&t, "%s|%.1fM|%.1fM|%+.1f %%|%.1f %%|%s|%.1f|%.1f|%.1f %%|%.1f %%|%s", model[i],
                  s.shared / 1e6, s.unshared / 1e6, 100 * (s.unshared / s.shared - 1), s.saved,
                  i == 0 ? "+66.1 % more" : i == 5 ? "42.0 %" : "", s.kept_mb, s.samples_mb,
                  s.memory_saved, 100 * 9 / (9 + branch), i == 5 ? "84.2 %" : "");
    }
    table_print(&t, stdout);
    table_free(&t);
    if (!guesses(e))
        return EXIT_USAGE;
    puts("\nMemory: float32 of one image of 224 x 224 in training. 'MB kept' is every activation of\n"
         "the shared model. Unshared weights are multiplied with the samples themselves, 9 C per\n"
         "pixel and layer, which have to be kept too; sharing sums them on the way. That saves\n"
         "the percentage shown of the activations, far from the paper's 84.2 %, which it measured\n"
         "as GPU memory of an implementation it does not describe. 'Of the operator': samples\n"
         "against samples, offsets and modulation alone, 9 C of 9 C + 27 G: 84.2 % where C' = 16,\n"
         "91.4 % for H's C' = 32; perhaps what figure 4 shows.");
    return EXIT_MATCH;
}
