/* What `internimage bench` was asked for; shared by measuring and by the gates. */
#ifndef VERIFY_BENCH_BENCH_H
#define VERIFY_BENCH_BENCH_H

#include "report.h"

enum { MOST_LISTED = 16 };
struct bench {
    const char *filter;                 /* names, separated by commas */
    struct subject_spec spec;           /* threads: the most */
    bool all_threads;
    int height[MOST_LISTED], width[MOST_LISTED], sizes;
    int batch[MOST_LISTED], batches;
    enum report_format format;
    struct measure_options measure;
    const char *against, *against_binary;
    double margin;                      /* of the gates */
};

/* Every case that was asked for, in order: names, sizes, threads, batches. */
bool bench_each(const struct bench *b,
                bool (*visit)(const struct bench *, const struct subject_spec *, void *,
                              struct error *),
                void *context, struct error *e);
/* Measures one case and appends its result. */
bool bench_case(const struct bench *b, const struct subject_spec *spec, struct results *list,
                struct error *e);
/* --against and --against-binary: prints the verdicts; *code tells them. */
bool bench_against(const struct bench *b, enum exit_code *code, struct error *e);

#endif
