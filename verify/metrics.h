/* How far a result is from the truth. The truth is always ref64. */
#ifndef VERIFY_METRICS_H
#define VERIFY_METRICS_H

#include <stdbool.h>
#include <stdint.h>

struct metrics {
    int64_t count;
    double rel_rms;         /* ||x - truth|| / ||truth||; finite elements only */
    double error_square, truth_square;      /* sums over the elements compared */
    double max_abs;         /* largest |x - truth| */
    int64_t max_at;         /* its flat index, in the truth's order */
    double max_ulp;         /* the largest in float32 ULPs of the truth; elements below
                               a thousandth of the rms count as a thousandth of it */
    int64_t bad;            /* elements where NaN or Inf do not agree */
    int64_t bad_at;         /* first of them */
};

/* Position of element i of x in the truth's order; NULL: the same order. */
typedef int64_t index_map(const void *context, int64_t i);

struct metrics measure64(int64_t count, const double *x, const double *truth, index_map *map,
                         const void *context);
struct metrics measure32(int64_t count, const float *x, const double *truth, index_map *map,
                         const void *context);

/* Makes rel_rms relative to another scale than the truth's own rms. */
void relative_to(struct metrics *m, double rms);

double root_mean_square(int64_t count, const double *x);
double mean_value(int64_t count, const double *x);

/* --- what is accepted, and why ----------------------------------------------
 *
 * A float32 result passes when err <= ENVELOPE_K * envelope: the envelope is the
 * error that an honest float32 computation makes on the same input, err(ref32),
 * but never less than ENVELOPE_FLOOR (4 units of float32 rounding, 2^-24).
 *
 * ref32 defines the envelope, so it needs bounds of its own. For a single op:
 * rounding errors of a sum of t terms grow like sqrt(t), see ref32_bound(). Along
 * a chain of layers no such bound knows how the layers amplify an error; PyTorch's
 * float32 run does, an independent implementation on the same numbers, so there
 * ref32 may lose ENVELOPE_K times what PyTorch loses, should that be more.
 *
 * A float64 result is held to DOUBLE_LIMIT. */
#define FLOAT_UNIT 0x1p-24
#define ENVELOPE_FLOOR (4 * FLOAT_UNIT)
#define ENVELOPE_K 4.0
#define DOUBLE_LIMIT 1e-12

/* `condition`: by how much the case amplifies an error of its input; 1 normally. */
double envelope_of(double ref32_error, double condition);

#endif
