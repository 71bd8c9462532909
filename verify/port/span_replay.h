/* Mistakes in layers that a port's file lacks: the first layer behind them that it has carries
 * their error, and shows which one it is. */
#ifndef VERIFY_SPAN_REPLAY_H
#define VERIFY_SPAN_REPLAY_H

#include "verify/port/port.h"
#include "verify/port/replay.h"

/* Runs the layers between what MINE holds and `n` again under every mistake in one of them;
 * `mine` is the port's output of n. What is found joins *r, where suspect.at says which layer
 * it is in. False when the file is bad or memory short. */
bool span_replay(struct port *p, const struct node *n, const double *mine, double limit,
                 struct replay *r, struct error *e);

/* Their names, "dcn.softmax, dcn.core" in full, as much as fits. */
const char *span_text(const struct port *p, const struct node *n, char *text, int size);

#endif
