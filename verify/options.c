#include "options.h"

#include <stdio.h>
#include <string.h>

static const struct option_spec *find(const struct option_spec *spec, const char *arg, size_t length)
{
    for (; spec->name; spec++)
        if (strlen(spec->name) == length && !strncmp(spec->name, arg, length))
            return spec;
    return NULL;
}

static void print_help(const struct option_spec *spec, const char *usage)
{
    printf("usage: %s\n\n", usage);
    for (; spec->name; spec++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s", spec->name, spec->value ? " VALUE" : "");
        printf("  %-22s %s\n", left, spec->help);
    }
}

int options_parse(int argc, char **argv, const struct option_spec *spec, const char *usage,
                  struct error *e)
{
    int plain = 0;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *equals = strchr(arg, '=');
        if (arg[0] != '-') {
            argv[plain++] = argv[i];
            continue;
        }
        if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
            print_help(spec, usage);
            return -2;
        }
        const struct option_spec *s = find(spec, arg, equals ? (size_t)(equals - arg) : strlen(arg));
        if (!s || (s->flag && equals)) {
            fail(e, EXIT_USAGE, "unknown option '%s' (--help lists them)", arg);
            return -1;
        }
        if (s->flag)
            *s->flag = true;
        else if (equals)
            *s->value = equals + 1;
        else if (i + 1 < argc)
            *s->value = argv[++i];
        else {
            fail(e, EXIT_USAGE, "option %s needs a value", arg);
            return -1;
        }
    }
    return plain;
}
