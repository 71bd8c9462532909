/* The plug-in of docs/plugin.c with one mistake, chosen by the environment: the judge has to
 * find each. */
#define internimage_plugin_dcnv3_forward right_dcnv3_forward
#define internimage_plugin_version right_version
#include "docs/plugin.c"
#undef internimage_plugin_dcnv3_forward
#undef internimage_plugin_version

#include <signal.h>
#include <stdlib.h>
#include <string.h>

int internimage_plugin_dcnv3_forward(const struct plugin_dcnv3 *s, const float *input,
                                     const float *offset, const float *mask, float *output);

static int mistake(const char *name)
{
    const char *chosen = getenv("PLUGIN_MISTAKE");
    return chosen && !strcmp(chosen, name);
}

__attribute__((constructor)) static void loaded(void)
{
    if (mistake("crash on load"))
        abort();
}

int internimage_plugin_version(void)
{
    return right_version() + mistake("version");
}

static int with_pairs_swapped(const struct plugin_dcnv3 *s, const float *input,
                              const float *offset, const float *mask, float *output)
{
    const size_t count = (size_t)s->batch * s->out_height * s->out_width * s->groups
                       * (s->y.kernel * s->x.kernel - s->remove_center);
    float *swapped = malloc(2 * count * sizeof *swapped);
    if (!swapped)
        return 1;
    for (size_t i = 0; i < 2 * count; i++)
        swapped[i] = offset[i ^ 1];
    const int answer = right_dcnv3_forward(s, input, swapped, mask, output);
    free(swapped);
    return answer;
}

int internimage_plugin_dcnv3_forward(const struct plugin_dcnv3 *s, const float *input,
                                     const float *offset, const float *mask, float *output)
{
    const size_t count = (size_t)s->batch * s->out_height * s->out_width * s->groups
                       * s->group_channels;
    if (mistake("pairs swapped"))
        return with_pairs_swapped(s, input, offset, mask, output);
    if (mistake("declines"))
        return 1;
    if (mistake("crash"))
        raise(SIGSEGV);
    if (mistake("exit"))
        exit(0);
    const int answer = right_dcnv3_forward(s, input, offset, mask, output);
    if (mistake("overrun"))
        output[count] = 0;
    if (mistake("underrun"))
        output[-1] = 0;
    if (mistake("NaN"))
        output[count / 2] = NAN;
    if (mistake("slightly off"))
        for (size_t i = 0; i < count; i++)
            output[i] *= 1 + 3e-6f;
    return answer;
}
