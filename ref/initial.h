/* Parameters at the start of a training, as the official code initialises them. */
#ifndef REF_INITIAL_H
#define REF_INITIAL_H

#include "graph.h"

#include <stdint.h>

/* Fills out[i], shape_count() values, for every parameter and buffer of the graph:
 *   convolutions      U(-1, 1) / sqrt(fan_in), weight and bias (torch.nn.Conv2d)
 *   linear layers     N(0, 0.02), bias 0
 *   in DCNv3 modules  input_proj, output_proj: U(-1, 1) sqrt(6 / (fan_in + fan_out)), bias 0;
 *                     offset, mask: 0; an unshared output_proj: each point as if shared
 *   norms             weight 1, bias 0, stored mean 0 and variance 1
 *   layer scale       1e-5
 * The numbers come from the seeded generator (docs/formats.md), so that a seed gives the
 * same start everywhere. */
void initial_parameters(const struct graph *g, uint64_t seed, float *const *out);

#endif
