/* One case measured: rounds of runs interleaved with yardsticks, so that all see the same
 * machine. */
#ifndef VERIFY_BENCH_MEASURE_H
#define VERIFY_BENCH_MEASURE_H

#include "clock.h"
#include "subject.h"

/* What times are held against when base and head were not run side by side: a loop of
 * multiply-adds, oneDNN's plain convolution, the scalar definition of DCNv3. None of them
 * is touched by a change to the fast side. */
enum yardstick_kind { YARDSTICK_FMA, YARDSTICK_CONV, YARDSTICK_REF, YARDSTICKS };
extern const char *const yardstick_names[YARDSTICKS];

struct yardsticks;
struct yardsticks *yardsticks_new(const char *isa, int threads);        /* NULL: out of memory */
/* Seconds of one go: 1 GFLOP of multiply-adds, one convolution, one DCNv3 (on one thread);
 * the last two after one that is not timed, for the case has filled the caches with its own.
 * 0: not in this build. */
double yardstick_run(struct yardsticks *y, enum yardstick_kind kind);
void yardsticks_free(struct yardsticks *y);

struct round {
    struct timing time;                 /* of one run, seconds */
    double yardstick[YARDSTICKS];       /* least of its goes, seconds; 0: not measured */
};

enum { MOST_ROUNDS = 64 };
struct measurement {
    struct round round[MOST_ROUNDS];
    int rounds;
    double peak;                        /* largest seen, operations per second */
    double ref_seconds;                 /* 0: not measured */
};

struct measure_options {
    double seconds;                     /* per round */
    int rounds;                         /* more than 1: each in a new process */
    bool profile, with_ref;
};
bool measure(struct subject *s, const struct subject_spec *spec, const struct measure_options *o,
             struct measurement *m, struct error *e);

/* Runs that together take at least `seconds`, at least one. */
int runs_for(struct subject *s, double seconds, struct error *e);

#endif
