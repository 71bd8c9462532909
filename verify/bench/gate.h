/* The verdict on speed: is head slower than base? */
#ifndef VERIFY_BENCH_GATE_H
#define VERIFY_BENCH_GATE_H

#include "measure.h"
#include "stats.h"

enum verdict { VERDICT_FASTER, VERDICT_NOISE, VERDICT_INCONCLUSIVE, VERDICT_SLOWER };
extern const char *const verdict_names[];

/* Medians of rounds. What is compared are times, or times over the yardstick's. */
struct gate {
    char label[160];
    double base[MOST_ROUNDS], head[MOST_ROUNDS];
    int base_rounds, head_rounds;
    bool paired;                        /* round i of both ran side by side */
    double base_ms, head_ms;
    struct effect effect;               /* head over base */
    struct mann_whitney test;
    enum verdict verdict;
};

struct gates {
    struct gate *item;
    int count, room;
};
struct gate *gates_add(struct gates *list);     /* NULL: out of memory */
void gates_free(struct gates *list);

/* slower, faster: the ratio differs from 1 by `margin` or more, its interval does not
 * contain 1, and U says that the order is no accident. Within noise: the whole interval is
 * closer to 1 than `margin`. Anything else is inconclusive: run longer. Chances of error
 * are 1 % over all cases of the list together. */
void gates_judge(struct gates *list, double margin);
void gates_print(const struct gates *list, double margin, bool json);
/* EXIT_MISMATCH when one is slower, else EXIT_INCONCLUSIVE when one is that, else
 * EXIT_MATCH. */
enum exit_code gates_exit(const struct gates *list);

/* --- where the rounds come from ------------------------------------------------------------ */

struct gate_options {
    const char *base;                   /* a record, or a binary */
    double seconds;                     /* per round */
    int rounds;
};

/* Base and head as processes of their own (served.h), started anew for every round, run
 * in turns A B B A. */
bool gate_binary(const struct subject_spec *spec, const struct gate_options *o, struct gate *g,
                 struct error *e);

/* record.c: what `bench --rounds N --json` wrote, against measurements of now. */
struct record;
struct record *record_open(const char *path, struct error *e);
void record_close(struct record *r);
/* The rounds of a label, over the recorded yardstick; 0: not in it. */
int record_rounds(const struct record *r, const char *label, const char *yardstick,
                  double *over_yardstick, double *ms);
/* What was recorded of the machine and the build: "cpu", "onednn"...; NULL: nothing. */
const char *record_context(const struct record *r, const char *key);

#endif
