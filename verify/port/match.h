/* Names and shapes: which tensor of a file is which node of the graph. */
#ifndef VERIFY_PORT_MATCH_H
#define VERIFY_PORT_MATCH_H

#include "port.h"

#include <stddef.h>

/* The node's name behind a port's: writes at most `size` bytes, returns how many steps were
 * needed (0: as it stands). Fewer steps are the better match. */
int match_name(const char *theirs, const char *prefix, char *name, size_t size);

/* Whether a tensor of these dimensions can be the node's value, and in which order. */
struct port_layer match_shape(const struct node *n, const struct tensor_info *t);

#endif
