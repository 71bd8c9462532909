/* A port against the reference, layer by layer (docs/verify-your-port.md).
 *
 * Two errors per layer. *entire*: the port as it ran against ref64 on GOLDEN's image; errors
 * of all layers before are in it. *single*: against ref64 on the port's own inputs of this
 * layer, so that only its own error shows. An input that MINE does not hold is computed by the
 * reference from what MINE holds further up; `span` counts the layers that go into a single
 * error then. */
#ifndef VERIFY_PORT_COMPARE_H
#define VERIFY_PORT_COMPARE_H

#include "layer_error.h"
#include "port.h"

struct compared {
    const struct node *node;
    struct port_layer layer;
    struct layer_error entire, single;  /* when layer.state is PORT_FITS */
    int span;                           /* 1: all inputs of the layer are in MINE */
    double largest;                     /* max |x| of ref64, as run */
    bool pass;
};

enum { PICTURE_BINS = 60, PICTURE_BINS_FIRST = -50 };

/* The error of the first divergent layer, of the last one when there is none: for pictures and
 * for the sentence about it. */
struct error_picture {
    const struct node *node;    /* NULL: nothing was compared */
    double limit;               /* its limit, over the rms */
    int height, width;          /* 0: no image */
    double *map;                /* [height, width]: rms of the single error over batch, channels */
    double border, interior;    /* rms over the outermost ring of pixels, and the others */
    int64_t bin[PICTURE_BINS];  /* |single error| / rms, in fifths of a decade from 1e-10 */
};

struct comparison {
    struct compared *item;      /* every node in graph order */
    int count;
    int first;                  /* the first whose single error exceeds its limit; -1: none */
    bool first_is_entire;       /* no single error does; this is the first entire one */
    int compared, passed;       /* layers that fit; of those, right on their own and as run */
    int failed;                 /* the other ones, and those of a wrong shape */
    int failed_single;
    struct error_picture picture;
};

struct compare_options {
    enum number type;           /* what the port computes in */
    void (*progress)(const char *unit, int done, int total);   /* may be NULL */
    /* Asked after each layer; true ends the comparison there, and the layers behind it count
     * as absent. May be NULL: all layers. */
    bool (*enough)(const void *context, const struct compared *x);
    const void *context;
};

/* False on a bad file or lack of memory. */
bool compare_run(struct port *p, struct compare_options o, struct comparison *c, struct error *e);
void compare_free(struct comparison *c);

#endif
