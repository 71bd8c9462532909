/* Measuring: clocks, medians, and what this machine could do at best. */
#ifndef VERIFY_BENCH_CLOCK_H
#define VERIFY_BENCH_CLOCK_H

#include "opt/kernels.h"

double bench_now(void);                 /* seconds, monotonic */

struct timing {
    double median, least;               /* seconds */
    int repeats;
};
/* Sorts `seconds`. */
struct timing timing_of(double *seconds, int count);

/* FMA throughput of `threads` threads together, floating-point operations per second;
 * one short loop: measure often, take the largest. */
double bench_peak(const struct kernels *k, int threads);
/* The same from a loop of `rounds` rounds: 50000 take half a millisecond. */
double bench_fma(const struct kernels *k, int threads, int64_t rounds);
/* Bytes per second read from memory by `threads` threads (64 MB each). */
double bench_bandwidth(int threads);

#endif
