#include "tables.h"

#include <math.h>

bool cost_of(const struct internimage_config *c, int size, struct cost *cost, struct error *e)
{
    struct graph *g = internimage_graph(c, 1, size, size, e);
    if (!g)
        return false;
    *cost = (struct cost){graph_parameters(g), graph_macs(g), (double)graph_activation_values(g)};
    graph_free(g);
    return true;
}

const char *agreement(double ours, double published, int decimals)
{
    const double scale = pow(10, decimals), x = ours * scale, want = published * scale;
    if (fabs(round(x) - want) < 1e-6)
        return "rounds";
    return fabs(floor(x) - want) < 1e-6 ? "truncated" : "DIFFERS";
}

/* Blocks of level 2 are all alike, so two counts give the line. */
int depth_for(const struct internimage_config *c, double parameters, struct error *e)
{
    struct internimage_config one = *c, two = *c;
    struct cost a, b;
    one.depths[2] = 1;
    two.depths[2] = 2;
    if (!cost_of(&one, 32, &a, e) || !cost_of(&two, 32, &b, e))
        return 0;
    const double more = (parameters - (double)a.parameters) / (double)(b.parameters - a.parameters);
    return more < 0 ? 1 : 1 + (int)lround(more);
}
