/* Parameters without downloads: defined by integer hashing, the same bits in C
 * and in Python (docs/formats.md, "The seeded generator"). */
#ifndef REF_WEIGHTS_H
#define REF_WEIGHTS_H

#include "graph.h"

#include <stdint.h>

uint64_t seeded_hash(const char *name, uint64_t index, uint64_t seed);
/* out[i] = u(name, i), in [-1, 1). */
void seeded_uniform(const char *name, uint64_t seed, int64_t count, float *out);
/* A parameter's values, chosen so that a network behaves: offsets of 1-3 px,
 * modulation far from uniform, no vanishing activations. */
void seeded_parameter(const struct param *p, uint64_t seed, float *out);

#endif
