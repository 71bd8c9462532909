/* internimage weights: a weight file from the seeded generator. */
#include "commands.h"
#include "options.h"

#include "datasets/weights_file.h"
#include "ref/weights.h"

#include <stdio.h>
#include <stdlib.h>

static bool write_seeded(const char *model, const char *path, uint64_t seed, struct error *e)
{
    struct internimage_config c;
    struct graph *g = internimage_named(model, &c, e) ? internimage_graph(&c, 1, 64, 64, e) : NULL;
    float **values = g ? weights_new(g, e) : NULL;
    for (int i = 0; values && i < g->params; i++)
        seeded_parameter(&g->param[i], seed, values[i]);
    bool ok = values && weights_write(path, &c, g, values, e);
    if (ok)
        printf("%s: %lld parameters of internimage_%s, seed %llu\n", path,
               (long long)graph_parameters(g), c.name, (unsigned long long)seed);
    if (g)
        weights_free(g, values);
    graph_free(g);
    return ok;
}

int cmd_weights(int argc, char **argv, struct error *e)
{
    const char *path = NULL, *seed = "1";
    const struct option_spec spec[] = {
        {"-o", &path, NULL, "the HDF5 weight file to write"},
        {"--seed", &seed, NULL, "of the generator (default 1)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage weights MODEL -o FILE [--seed N]", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain != 1 || !path) {
        fail(e, EXIT_USAGE, "give one model (pico t s b l xl h g) and -o FILE");
        return EXIT_USAGE;
    }
    return write_seeded(argv[0], path, strtoull(seed, NULL, 10), e) ? EXIT_MATCH : EXIT_USAGE;
}
