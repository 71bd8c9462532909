/* Shared by port.c and port_read.c only. */
#ifndef VERIFY_PORT_PORT_INTERNAL_H
#define VERIFY_PORT_PORT_INTERNAL_H

#include "port.h"

#include "verify/golden.h"

struct port {
    struct golden_start start;
    char mine_path[1024];
    struct tensor_file *mine;
    struct port_layer *layer;   /* [nodes] */
    int *steps;                 /* [nodes]: match_name()'s of the tensor chosen */
    bool *known;                /* [tensors of MINE]: a node is called so */
    struct port_counts counts;
};

#endif
