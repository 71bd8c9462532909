/* How far one layer of a port is from what it should be.
 *
 * Two criteria. The relative error stays within ENVELOPE_K envelopes. And the gain, the part of
 * the error that lies along the truth, <x - truth, truth> / <truth, truth>, stays within
 * ENVELOPE_K times what chance makes of it: rounding has no direction, so over many values it
 * averages out, while a wrong constant (eps 1e-5 for 1e-6 where the variance is 10) changes
 * all values alike and may be smaller than the rounding of each. */
#ifndef VERIFY_PORT_LAYER_ERROR_H
#define VERIFY_PORT_LAYER_ERROR_H

#include "number.h"

#include "ref/graph.h"
#include "verify/metrics.h"

struct layer_error {
    struct metrics m;           /* against ref64; max_ulp in units of the last place of the type */
    double envelope;            /* what an honest port loses on the same numbers, rel_rms */
    double limit;               /* ENVELOPE_K times that */
    double gain, gain_limit;    /* the systematic part; limit INFINITY: not judged */
    double replay_limit;        /* what reproduces x must be this near to it: limit, but where only
                                   the gain is off twice what remains without it */
    bool pass;                  /* within its limits, NaN and Inf where they belong */
    double rms;                 /* of the truth */
    double cosine;              /* of the angle between the two */
    double max_rel;             /* largest |x - truth| / |truth|: the rtol that would pass */
    double violating;           /* share of elements off by more than limit * rms */
    int64_t nonfinite, nonfinite_at;    /* NaN and Inf in x; the first, or -1 */
    int64_t worst_at;           /* the element to look at: first bad one, or m.max_at */
    double expected, found;     /* there */
};

/* x: the port's; honest: what ref32 makes of it in the type (its error is the envelope). */
struct layer_error layer_error_of(int64_t count, const double *x, const double *truth,
                                  const float *honest, enum number type);
/* Judges the gain too: for a layer's own error, where nothing before it has a direction. */
void layer_error_judge_gain(struct layer_error *l, const struct shape *s, const double *truth,
                            const float *honest, enum number type);

/* "[0,3,17,5]": the position of flat index `at` in the shape. */
const char *index_text(const struct shape *s, int64_t at, char *buffer, int size);

#endif
