/* Mistakes about where things stand in a block (NORM_PLACE): the block is built again the
 * other way and run from the port's own values. */
#ifndef VERIFY_BLOCK_REPLAY_H
#define VERIFY_BLOCK_REPLAY_H

#include "verify/port/conventions.h"
#include "verify/port/port.h"

/* The configuration of a port that makes the mistake in every block; false when it cannot
 * be made (no such norm there). */
bool block_mistake(const struct convention *c, const struct internimage_config *right,
                   struct internimage_config *wrong);

/* Tries every NORM_PLACE mistake on the block that `n` belongs to. *found is the one under
 * which every layer that the port has of the block is right within `limit`, each computed
 * from the port's own values of the layers before it; NULL when there is none. *error is the
 * largest error. False when the file is bad or memory short. */
bool block_replay(struct port *p, const struct node *n, double limit,
                  const struct convention **found, double *error, struct error *e);

#endif
