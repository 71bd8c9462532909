/* internimage convert: offsets and masks from one convention to another. */
#include "convert.h"

#include "verify/commands.h"
#include "verify/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *from, *to, *out, *kernel, *dilation, *scale, *groups;
    struct convert_names names;
    bool remove_center;
};

/* "3x5", or "3" for both. */
static bool parse_pair(const char *text, const char *what, int *a, int *b, struct error *e)
{
    char rest;
    if (sscanf(text, "%dx%d%c", a, b, &rest) == 2)
        return true;
    if (sscanf(text, "%d%c", a, &rest) == 1) {
        *b = *a;
        return true;
    }
    return fail(e, EXIT_USAGE, "%s is '%s', expected a number or HEIGHTxWIDTH", what, text);
}

static bool parse_layout(const char *text, const char *option, enum convention_layout *layout,
                         struct error *e)
{
    for (int i = 0; text && i < LAYOUTS; i++)
        if (!strcmp(text, layout_names[i])) {
            *layout = i;
            return true;
        }
    return fail(e, EXIT_USAGE, "%s %s: give dcnv2, conv_offset, dcnv3 or dcnv4", option,
                text ? text : "is missing");
}

static bool parse_window(const struct arguments *a, struct convert_window *w, struct error *e)
{
    char *end = NULL, *end_groups = NULL;
    *w = (struct convert_window){.remove_center = a->remove_center,
                                 .offset_scale = strtod(a->scale, &end),
                                 .groups = (int)strtol(a->groups, &end_groups, 10)};
    if (*end || end == a->scale)
        return fail(e, EXIT_USAGE, "--offset-scale is '%s', expected a number", a->scale);
    if (*end_groups || w->groups < 0)
        return fail(e, EXIT_USAGE, "--groups is '%s', expected a number", a->groups);
    return parse_pair(a->kernel, "--kernel", &w->kernel_h, &w->kernel_w, e)
        && parse_pair(a->dilation, "--dilation", &w->dilation_h, &w->dilation_w, e);
}

static bool run(const struct arguments *a, const char *in, struct error *e)
{
    enum convention_layout from, to;
    struct convert_window w;
    if (!a->from && !a->to)
        return a->remove_center ? convert_weights(in, a->out, e)
                                : fail(e, EXIT_USAGE, "give --from and --to, or --remove-center "
                                       "alone for a weight file");
    return parse_layout(a->from, "--from", &from, e) && parse_layout(a->to, "--to", &to, e)
        && parse_window(a, &w, e) && convert_file(in, a->out, from, to, &w, &a->names, e);
}

int cmd_convert(int argc, char **argv, struct error *e)
{
    struct arguments a = {.kernel = "3", .dilation = "1", .scale = "1", .groups = "0"};
    const struct option_spec spec[] = {
        {"--from", &a.from, NULL, "dcnv2 (torchvision, mmcv, ONNX), conv_offset, dcnv3 or dcnv4"},
        {"--to", &a.to, NULL, "the same names"},
        {"-o", &a.out, NULL, "the file to write: npz by its name, else HDF5"},
        {"--kernel", &a.kernel, NULL, "of the window, 3 or 3x5 (height x width; default 3)"},
        {"--dilation", &a.dilation, NULL, "of the window (default 1)"},
        {"--offset-scale", &a.scale, NULL, "DCNv3's and DCNv4's (default 1)"},
        {"--groups", &a.groups, NULL, "offset groups (default: told from the shapes)"},
        {"--remove-center", NULL, &a.remove_center, "DCNv3's and DCNv4's; alone: convert weights"},
        {"--input", &a.names.input, NULL, "name of the input (default input, may be missing)"},
        {"--offset", &a.names.offset, NULL, "name of the offsets (default offset, conv_offset, "
                                            "offset_mask)"},
        {"--mask", &a.names.mask, NULL, "name of the mask (default mask)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage convert --from A --to B IN -o OUT "
                              "[OPTIONS]\n       internimage convert --remove-center WEIGHTS.h5 "
                              "-o OUT.h5\n\n"
                              "Offsets and masks from one operator's layout to another's; see\n"
                              "docs/convert.md. IN holds offset and, where there is one, mask.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain != 1 || !a.out) {
        fail(e, EXIT_USAGE, "give one file and -o FILE (--help says more)");
        return EXIT_USAGE;
    }
    if (!run(&a, argv[0], e))
        return (int)e->code;
    printf("%s\n", a.out);
    return EXIT_MATCH;
}
