#include "layer_error.h"

#include <math.h>
#include <stdio.h>

static void add_extras(struct layer_error *l, int64_t count, const double *x, const double *truth)
{
    double dot = 0, along = 0, x_square = 0, limit = l->limit * l->rms;
    int64_t violating = 0;
    l->nonfinite_at = -1;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(x[i]) && l->nonfinite++ == 0)
            l->nonfinite_at = i;
        if (!isfinite(x[i]) || !isfinite(truth[i])) {
            violating += !(x[i] == truth[i] || (isnan(x[i]) && isnan(truth[i])));
            continue;
        }
        const double off = fabs(x[i] - truth[i]);
        dot += x[i] * truth[i];
        along += (x[i] - truth[i]) * truth[i];
        x_square += x[i] * x[i];
        violating += off > limit;
        if (off > 0)
            l->max_rel = fmax(l->max_rel, off / fabs(truth[i]));
    }
    l->cosine = x_square > 0 && l->m.truth_square > 0 ? dot / sqrt(x_square * l->m.truth_square)
              : x_square == l->m.truth_square;
    l->gain = l->m.truth_square > 0 ? along / l->m.truth_square : 0;
    l->violating = (double)violating / (double)(count ? count : 1);
}

struct layer_error layer_error_of(int64_t count, const double *x, const double *truth,
                                  const float *honest, enum number type)
{
    struct layer_error l = {.m = measure64(count, x, truth, NULL, NULL), .gain_limit = INFINITY};
    struct metrics own = measure32(count, honest, truth, NULL, NULL);
    l.m.max_ulp *= FLOAT_UNIT / number_unit(type);
    /* Where the honest one overflows there is nothing to be measured against: then what it
     * loses elsewhere counts, and the port fails by its own Inf. */
    const double finite = (double)(own.count > own.bad ? own.count - own.bad : 1);
    l.rms = l.m.count ? sqrt(l.m.truth_square / (double)l.m.count) : 0;
    const double lost = sqrt(own.error_square / finite) / (l.rms > 0 ? l.rms : 1);
    l.envelope = fmax(lost, number_floor(type));
    l.limit = l.replay_limit = ENVELOPE_K * l.envelope;
    l.pass = l.m.bad == 0 && l.m.rel_rms <= l.limit;
    add_extras(&l, count, x, truth);
    l.worst_at = l.m.bad ? l.m.bad_at : l.m.max_at;
    l.expected = truth[l.worst_at];
    l.found = x[l.worst_at];
    return l;
}

/* --- the gain ------------------------------------------------------------------------ */

/* <x - truth, truth> / <truth, truth> */
static double gain_of(int64_t count, const float *x, const double *truth)
{
    double along = 0, square = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(x[i]) && isfinite(truth[i])) {
            along += (x[i] - truth[i]) * truth[i];
            square += truth[i] * truth[i];
        }
    return square > 0 ? along / square : 0;
}

/* Rounding errors of one row (a norm's statistics) or of one channel (a folded weight) may
 * have a direction in common: the rows, or the channels, are independent of each other. */
void layer_error_judge_gain(struct layer_error *l, const struct shape *s, const double *truth,
                            const float *honest, enum number type)
{
    const double independent = fmin((double)shape_rows(s), (double)shape_last(s));
    const double chance = fmax(fabs(gain_of(shape_count(s), honest, truth)),
                               l->envelope / sqrt(independent));
    l->gain_limit = ENVELOPE_K * fmax(chance, number_unit(type) / 2);
    if (!l->pass || fabs(l->gain) <= l->gain_limit)
        return;
    l->pass = false;
    l->replay_limit = 2 * sqrt(fmax(l->m.rel_rms * l->m.rel_rms - l->gain * l->gain, 0));
}

const char *index_text(const struct shape *s, int64_t at, char *buffer, int size)
{
    int64_t index[MAX_RANK];
    int used = 0;
    for (int i = s->rank - 1; i >= 0; i--) {
        index[i] = at % s->dim[i];
        at /= s->dim[i];
    }
    for (int i = 0; i < s->rank && used < size; i++)
        used += snprintf(buffer + used, (size_t)(size - used), "%s%lld", i ? "," : "[",
                         (long long)index[i]);
    if (used < size)
        snprintf(buffer + used, (size_t)(size - used), "]");
    return buffer;
}
