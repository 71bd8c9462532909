/* internimage tables: the paper's tables, recomputed from the graph. */
#include "tables.h"

#include "verify/commands.h"
#include "verify/options.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*print)(struct error *e);
    const char *what;
} tables[] = {
    {"params", tables_params, "parameters and FLOPs of T to G (table 2)"},
    {"models", tables_models, "hyper-parameters by the stacking rules (table 1)"},
    {"stacking", tables_stacking, "30 models of 30 M parameters (appendix B)"},
    {"scaling", tables_scaling, "the scaling rule, and table 8"},
    {"sharing", tables_sharing, "what sharing weights saves (figure 4)"},
    {"kernel", tables_kernel, "kernels of 3, 5 and 7 (table 9)"},
    {"dcnv2", tables_dcnv2, "DCNv2 in place of DCNv3 (table 11)"},
    {"ablations", tables_ablations, "sizes of the ablated models (table 6)"},
    {"learned", tables_learned, "figures that need ImageNet, COCO or ADE20K"},
};

enum { TABLES = sizeof tables / sizeof *tables };

int cmd_tables(int argc, char **argv, struct error *e)
{
    const struct option_spec spec[] = {{0}};
    char usage[1024] = "internimage tables NAME\n";
    for (int i = 0; i < TABLES; i++)
        snprintf(usage + strlen(usage), sizeof usage - strlen(usage), "\n  %-10s %s",
                 tables[i].name, tables[i].what);
    int plain = options_parse(argc, argv, spec, usage, e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    for (int i = 0; plain == 1 && i < TABLES; i++)
        if (!strcmp(argv[0], tables[i].name))
            return tables[i].print(e);
    fail(e, EXIT_USAGE, "say which table (--help lists them)");
    return EXIT_USAGE;
}
