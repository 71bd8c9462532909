/* Finding the mistake: one node is run again from the port's own inputs under every wrong
 * convention (conventions.h), and what reproduces the port's output is named. */
#ifndef VERIFY_REPLAY_H
#define VERIFY_REPLAY_H

#include "verify/port/conventions.h"
#include "verify/port/pattern.h"

/* A node of a port: what went in, what came out, and by how much honest numbers of its type
 * may differ (relative rms, see layer_error.limit and replay_limit()). */
struct replay_case {
    const struct node *node;
    const struct ref64_op_args *args;
    const double *output;
    double limit;
};

enum verdict {
    VERDICT_RIGHT,              /* the output is what it should be */
    VERDICT_NAMED,              /* a mistake, or a pair of them, reproduces it */
    VERDICT_UNKNOWN,            /* it is wrong and nothing reproduces it */
};

struct suspect {
    const struct convention *first, *second;    /* second NULL: one mistake */
    double error;               /* of the port's output against the result under it */
    const struct node *at;      /* a layer before, which the port's file lacks; NULL: this one */
};

struct replay {
    enum verdict verdict;
    double error;               /* against the right result */
    struct suspect *item;       /* sorted, smallest error first */
    int count;
    int named;                  /* item[0 .. named) all reproduce the output: ties */
    bool loose;                 /* ... but for more rounding than the limit, see LOOSE */
    double runner_up;           /* least error of the others; INFINITY: there are none */
    int tried, pairs;           /* single mistakes and pairs that were run */
    int silent;                 /* mistakes that would change nothing here */
    const struct convention *silence[MISTAKES];     /* those */
    struct pattern pattern;     /* of the error, unless the output is right */
};

/* A port may round more than is honest (PyTorch's DCNv3 goes through a normalised grid in
 * float32, which costs 1e-5 on a large image). So when nothing fits within the limit, a mistake
 * is still named if it fits within LOOSE times that and is LOOSE times nearer than every
 * other, and than the right result. */
#define LOOSE 100.0

/* Pairs are tried only when no single mistake fits. False when memory is short. */
bool replay_run(const struct replay_case *c, struct replay *r, struct error *e);
/* A trial made elsewhere (image_replay.h, span_replay.h) joins the list; then all are put in
 * order, and what reproduces the output is named, as above. */
bool replay_add(struct replay *r, struct suspect s, struct error *e);
void replay_rank(struct replay *r, double limit);
void replay_free(struct replay *r);

/* "XY01" or "XY01 + KP01". */
const char *suspect_text(const struct suspect *s, char *buffer, int size);

#endif
