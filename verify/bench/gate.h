/* The verdict on speed: is head slower than base? */
#ifndef VERIFY_BENCH_GATE_H
#define VERIFY_BENCH_GATE_H

#include "measure.h"
#include "stats.h"

enum verdict { VERDICT_FASTER, VERDICT_NOISE, VERDICT_INCONCLUSIVE, VERDICT_SLOWER };
extern const char *const verdict_names[];

/* Base and head, a value per round. Side by side there is one view: the median times.
 * Against a record there is one per yardstick: the least times over the yardstick's least,
 * for what disturbs a machine only ever adds time. */
struct view {
    double base[MOST_ROUNDS], head[MOST_ROUNDS];
};
struct gate {
    char label[160];
    struct view view[YARDSTICKS];
    int views, base_rounds, head_rounds;
    bool paired;                        /* round i of both ran side by side */
    double base_ms, head_ms;
    struct effect effect;               /* head over base */
    double p;                           /* of Wilcoxon's signed ranks if paired, else of U */
    enum verdict verdict;
};

struct gates {
    struct gate *item;
    int count, room;
    double margin;                      /* of the last judgement */
};
struct gate *gates_add(struct gates *list);     /* NULL: out of memory */
void gates_free(struct gates *list);

/* The views are put together so that a verdict holds in each: the ratio nearest to 1, an
 * interval that contains theirs, the largest p. Unchanged code is slowed by a busy machine
 * more than one yardstick and less than another.
 *
 * slower, faster: the ratio differs from 1 by `margin` or more, its interval does not
 * contain 1, and the test says that the order is no accident. Within noise: the whole
 * interval is closer to 1 than `margin`. Anything else is inconclusive: run longer. Chances
 * of error are 1 % over all cases of the list together. */
void gates_judge(struct gates *list, double margin);
void gates_print(const struct gates *list, bool json);
/* EXIT_MISMATCH when one is slower, else EXIT_INCONCLUSIVE when one may be - it is that, and
 * its interval reaches beyond the margin -, else EXIT_MATCH. */
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
/* The least times of a label's rounds; 0: not in it. yardstick[k]: its least beside each, 0
 * where it was not measured. */
int record_rounds(const struct record *r, const char *label, double ms[MOST_ROUNDS],
                  double yardstick[YARDSTICKS][MOST_ROUNDS]);
/* What was recorded of the machine and the build: "cpu", "onednn"...; NULL: nothing. */
const char *record_context(const struct record *r, const char *key);

#endif
