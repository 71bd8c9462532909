#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int at_most(int count)
{
    return count < STATS_MOST ? count : STATS_MOST;
}

static double median_in_place(double *x, int count)
{
    if (count < 1)
        return NAN;
    qsort(x, (size_t)count, sizeof *x, ascending);
    return count % 2 ? x[count / 2] : (x[count / 2 - 1] + x[count / 2]) / 2;
}

double median_of(const double *x, int count)
{
    double copy[STATS_MOST];
    count = at_most(count);
    if (count > 0)                      /* x may be NULL of nothing */
        memcpy(copy, x, (size_t)count * sizeof *x);
    return median_in_place(copy, count);
}

/* --- Mann-Whitney ----------------------------------------------------------------------- */

/* P(U <= u) of samples of na and nb values without ties: ways[k] counts the orders whose
 * U is k, by the recurrence over the largest value, as products of (1 - q^(nb+i)) / (1 - q^i). */
static double exact_below(int na, int nb, double u)
{
    double ways[401] = {1}, sum = 0, below = 0;
    const int most = na * nb;
    for (int i = 1; i <= na; i++) {
        for (int k = most; k >= nb + i; k--)
            ways[k] -= ways[k - nb - i];
        for (int k = i; k <= most; k++)
            ways[k] += ways[k - i];
    }
    for (int k = 0; k <= most; k++) {
        sum += ways[k];
        below += k <= u ? ways[k] : 0;
    }
    return below / sum;
}

/* Sum of t^3 - t over the groups of equal values. */
static double tie_sum(const double *a, int na, const double *b, int nb)
{
    double all[2 * STATS_MOST], sum = 0;
    const int n = na + nb;
    memcpy(all, a, (size_t)na * sizeof *a);
    memcpy(all + na, b, (size_t)nb * sizeof *b);
    qsort(all, (size_t)n, sizeof *all, ascending);
    for (int i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && all[k] == all[i]; k++)
            ;
        sum += pow(k - i, 3) - (k - i);
    }
    return sum;
}

struct mann_whitney mann_whitney(const double *a, int na, const double *b, int nb)
{
    na = at_most(na);
    nb = at_most(nb);
    struct mann_whitney m = {.p = 1};
    if (na < 1 || nb < 1)
        return m;
    for (int i = 0; i < na; i++)
        for (int k = 0; k < nb; k++)
            m.u += b[k] > a[i] ? 1 : b[k] == a[i] ? 0.5 : 0;
    const double ties = tie_sum(a, na, b, nb), n = na + nb, pairs = (double)na * nb;
    const double low = m.u < pairs - m.u ? m.u : pairs - m.u;
    if (ties == 0 && pairs <= 400) {
        m.p = 2 * exact_below(na, nb, low);
    } else {
        const double variance = pairs / 12 * (n + 1 - ties / (n * (n - 1)));
        const double z = (pairs / 2 - low - 0.5) / sqrt(variance);
        m.p = variance > 0 && z > 0 ? erfc(z / sqrt(2)) : 1;
    }
    m.p = m.p < 1 ? m.p : 1;
    return m;
}

/* --- Wilcoxon ------------------------------------------------------------------------------- */

enum { MOST_PAIRS = 64 };

static int by_size(const void *a, const void *b)
{
    const double x = fabs(*(const double *)a), y = fabs(*(const double *)b);
    return (x > y) - (x < y);
}

/* P(W <= w) over all signs; ranks are doubled, so that those of ties are whole. */
static double signs_below(const int *rank, int count, int w)
{
    double ways[MOST_PAIRS * (MOST_PAIRS + 1) + 1] = {1}, below = 0;
    int most = 0;
    for (int i = 0; i < count; i++) {
        most += rank[i];
        for (int k = most; k >= rank[i]; k--)
            ways[k] += ways[k - rank[i]];
    }
    for (int k = 0; k <= w; k++)
        below += ways[k];
    return below / exp2(count);
}

double wilcoxon(const double *a, const double *b, int count)
{
    double d[MOST_PAIRS];
    int rank[MOST_PAIRS], n = 0, up = 0, down = 0;
    for (int i = 0; i < count && n < MOST_PAIRS; i++)
        if (a[i] != b[i])
            d[n++] = log(b[i] / a[i]);
    qsort(d, (size_t)n, sizeof *d, by_size);
    for (int i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && fabs(d[k]) == fabs(d[i]); k++)
            ;
        for (int j = i; j < k; j++) {
            rank[j] = i + 1 + k;
            *(d[j] > 0 ? &up : &down) += rank[j];
        }
    }
    const double p = n ? 2 * signs_below(rank, n, up < down ? up : down) : 1;
    return p < 1 ? p : 1;
}

/* --- bootstrap ---------------------------------------------------------------------------- */

enum { RESAMPLES = 4000 };

/* SplitMix64: the same intervals in every run. */
static int draw(uint64_t *state, int below)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (int)(((z ^ (z >> 31)) >> 33) % (uint64_t)below);
}

static double resampled_median(const double *x, int count, uint64_t *state)
{
    double drawn[STATS_MOST];
    for (int i = 0; i < count; i++)
        drawn[i] = x[draw(state, count)];
    return median_in_place(drawn, count);
}

struct effect effect_of(const double *a, int na, const double *b, int nb, bool paired,
                        double confidence, uint64_t seed)
{
    double ratio[STATS_MOST], resampled[RESAMPLES];
    const int tail = (int)((1 - confidence) / 2 * RESAMPLES);
    na = at_most(na);
    nb = at_most(nb);
    for (int i = 0; paired && i < na; i++)
        ratio[i] = b[i] / a[i];
    struct effect e = {.ratio = paired ? median_of(ratio, na) : median_of(b, nb) / median_of(a, na)};
    for (int i = 0; i < RESAMPLES; i++)
        resampled[i] = paired ? resampled_median(ratio, na, &seed)
                              : resampled_median(b, nb, &seed) / resampled_median(a, na, &seed);
    qsort(resampled, RESAMPLES, sizeof *resampled, ascending);
    e.low = resampled[tail];
    e.high = resampled[RESAMPLES - 1 - tail];
    return e;
}
