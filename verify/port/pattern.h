/* What an error looks like, for when its cause has no name: along the border only, in one
 * group only, a constant factor, a shift. */
#ifndef VERIFY_PATTERN_H
#define VERIFY_PATTERN_H

#include "ref/graph.h"

#include <stdbool.h>
#include <stdint.h>

struct pattern {
    int64_t bad, bad_at;        /* values not finite where they should be, the first of them */
    bool zero;                  /* all of the output is zero where little of it should be */
    double factor;              /* output = factor * right, or 0 */
    double constant;            /* output = right + constant, or 0 */
    bool per_channel;           /* output = right + a constant per channel */
    bool border;                /* images: all of the error lies in the outermost pixels */
    int images, first_image;    /* how many of the batch are wrong, and the first */
    int64_t first_channel, channels;    /* the run of channels that holds all of the error */
    int shift_y, shift_x;       /* output(y, x) = right(y + shift_y, x + shift_x); 0, 0: no */
    int64_t wrong, total;       /* values off by more than the limit times the rms */
};

/* `limit`: relative error that rounding explains. */
struct pattern pattern_of(const struct node *n, const double *output, const double *right,
                          double limit);

/* Sentences, each with a full stop, separated by spaces; "" when nothing stands out. */
const char *pattern_text(const struct node *n, const struct pattern *p, char *buffer, int size);

#endif
