#include "metrics.h"

#include <float.h>
#include <math.h>

/* Spacing of float32 numbers near x. */
static double float_ulp(double x)
{
    int exponent;
    if (fabs(x) < FLT_MIN)
        return 0x1p-149;
    frexp(x, &exponent);
    return ldexp(1.0, exponent - 24);
}

static void add_element(struct metrics *m, int64_t at, double x, double truth, double least)
{
    m->count++;
    if (!isfinite(x) || !isfinite(truth)) {
        bool same = (isnan(x) && isnan(truth)) || x == truth;
        if (!same && m->bad++ == 0)
            m->bad_at = at;
        return;
    }
    double d = fabs(x - truth), ulp = d / float_ulp(fmax(fabs(truth), least));
    m->error_square += d * d;
    m->truth_square += truth * truth;
    if (d > m->max_abs) {
        m->max_abs = d;
        m->max_at = at;
    }
    if (ulp > m->max_ulp)
        m->max_ulp = ulp;
}

void relative_to(struct metrics *m, double rms)
{
    double count = (double)(m->count ? m->count : 1);
    /* A truth of zeros has no relative error: then the absolute one counts. */
    m->rel_rms = m->bad ? INFINITY : sqrt(m->error_square / count) / (rms > 0 ? rms : 1);
}

static struct metrics finish(struct metrics *m)
{
    relative_to(m, m->count ? sqrt(m->truth_square / (double)m->count) : 0);
    return *m;
}

/* A thousandth of the rms: below it the ULPs of an element say nothing. */
static double smallest_counted(int64_t count, const double *truth, index_map *map,
                               const void *context)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double t = truth[map ? map(context, i) : i];
        sum += isfinite(t) ? t * t : 0;
    }
    return 1e-3 * sqrt(sum / (double)(count ? count : 1));
}

struct metrics measure64(int64_t count, const double *x, const double *truth, index_map *map,
                         const void *context)
{
    struct metrics m = {0};
    double least = smallest_counted(count, truth, map, context);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = map ? map(context, i) : i;
        add_element(&m, at, x[i], truth[at], least);
    }
    return finish(&m);
}

struct metrics measure32(int64_t count, const float *x, const double *truth, index_map *map,
                         const void *context)
{
    struct metrics m = {0};
    double least = smallest_counted(count, truth, map, context);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = map ? map(context, i) : i;
        add_element(&m, at, x[i], truth[at], least);
    }
    return finish(&m);
}

double root_mean_square(int64_t count, const double *x)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum / (double)count);
}

double mean_value(int64_t count, const double *x)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += x[i];
    return sum / (double)count;
}

double envelope_of(double ref32_error, double condition)
{
    return fmax(ref32_error, ENVELOPE_FLOOR * condition);
}
