/* Mistakes in the image that is fed to a model (COLOUR): the golden's image, prepared the
 * wrong way, beside the one that the port has. */
#ifndef VERIFY_IMAGE_REPLAY_H
#define VERIFY_IMAGE_REPLAY_H

#include "verify/port/port.h"
#include "verify/port/replay.h"

/* As replay_run() for a layer: `mine` is the port's image [N,3,H,W], `limit` the relative error
 * that rounding explains. False when memory is short. */
bool image_replay(struct port *p, const double *mine, double limit, struct replay *r,
                  struct error *e);

#endif
