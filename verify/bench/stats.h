/* Two sets of times compared without assuming how they are distributed. */
#ifndef VERIFY_BENCH_STATS_H
#define VERIFY_BENCH_STATS_H

#include <stdbool.h>
#include <stdint.h>

enum { STATS_MOST = 512 };              /* values per set; the rest is left out */

/* The middle value, or the mean of the two in the middle. NaN of nothing. */
double median_of(const double *x, int count);

/* Mann-Whitney U (Ann. Math. Stat. 18, 1947). u: pairs with b > a, ties count half. p: two-sided;
 * exact without ties up to 400 pairs, otherwise normal, corrected for ties and continuity. */
struct mann_whitney {
    double u, p;
};
struct mann_whitney mann_whitney(const double *a, int na, const double *b, int nb);

/* Wilcoxon's signed-rank test of pairs (Biometrics Bull. 1, 1945): two-sided p of b[i] / a[i]
 * against a distribution symmetric around 1 (of logarithms). Exact, also with ties; equal
 * pairs are left out. At least 2^(1 - count); pairs after the 64th
 * are left out. */
double wilcoxon(const double *a, const double *b, int count);

/* Percentile bootstrap (Efron 1979) of the effect of b over a, 4000 resamples.
 * Paired (na = nb): the median of b[i] / a[i]; otherwise median(b) / median(a). */
struct effect {
    double ratio, low, high;
};
struct effect effect_of(const double *a, int na, const double *b, int nb, bool paired,
                        double confidence, uint64_t seed);

#endif
