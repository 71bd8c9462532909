/* Command-line options: `--name VALUE`, `--name=VALUE` or a bare flag. */
#ifndef VERIFY_OPTIONS_H
#define VERIFY_OPTIONS_H

#include "ref/error.h"

struct option_spec {
    const char *name;           /* with its dashes; NULL ends the list */
    const char **value;         /* takes a value ... */
    bool *flag;                 /* ... or is set to true */
    const char *help;
};

/* Moves what is no option to the front of argv and returns their number; -1 after
 * filling *e; -2 when --help was asked for and printed. */
int options_parse(int argc, char **argv, const struct option_spec *spec, const char *usage,
                  struct error *e);

#endif
