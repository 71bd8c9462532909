/* Measurements printed: a table for people, and the formats that dashboards read. */
#ifndef VERIFY_BENCH_REPORT_H
#define VERIFY_BENCH_REPORT_H

#include "measure.h"

struct result {
    char label[160];
    struct subject_spec spec;           /* spec.isa: the one that ran */
    int height, width;
    double flops, bytes;                /* per run */
    size_t arena, weights;              /* bytes; 0 without a plan */
    struct measurement m;
};

struct results {
    struct result *item;
    int count, room;
};
struct result *results_add(struct results *list);       /* NULL: out of memory */
void results_free(struct results *list);

struct timing result_time(const struct result *r);      /* median over the rounds' medians */

enum report_format { REPORT_TABLE, REPORT_GOOGLE, REPORT_CUSTOM, REPORT_BMF, REPORT_FORMATS };
extern const char *const report_names[REPORT_FORMATS];

/* google: google-benchmark's JSON; one round is one "iteration" entry, several are
 * repetitions followed by their aggregates. custom: github-action-benchmark's
 * customSmallerIsBetter, milliseconds. bmf: Bencher's metric format, nanoseconds. */
void report(const struct results *list, enum report_format format);
/* Time per kind of step of a profiled plan. */
void report_profile(const struct plan *plan);

#endif
