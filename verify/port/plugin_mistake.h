/* Naming what a plug-in does wrong: each failed forward case votes for the wrong conventions
 * that reproduce its output. */
#ifndef VERIFY_PORT_PLUGIN_MISTAKE_H
#define VERIFY_PORT_PLUGIN_MISTAKE_H

#include "verify/golden.h"
#include "verify/port/replay.h"

enum { MOST_SUSPECTS = 64 };

struct plugin_votes {
    struct suspect suspect[MOST_SUSPECTS];
    int votes[MOST_SUSPECTS], suspects;
    int examined;               /* cases that were asked */
};

/* One failed case; large ones and those after the first dozen are passed over. `limit`: the
 * relative rms by which honest results may differ. */
bool plugin_vote(struct plugin_votes *v, const struct pair *p, const float *output, double limit,
                 struct error *e);
/* What most cases say: "XY01, offset pairs read ..."; false when nothing fits. */
bool plugin_verdict(const struct plugin_votes *v, char *text, size_t size, int *votes);

#endif
