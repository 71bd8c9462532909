/* What a comparison found out about one tensor, and lists of it. */
#ifndef VERIFY_FINDING_H
#define VERIFY_FINDING_H

#include "verify/metrics.h"

#include "ref/error.h"

enum direction { FORWARD, GRADIENT };

struct finding {
    char unit[128];             /* the model, or the op case's reproduction string */
    char tensor[128];           /* PyTorch path, state_dict key or input name */
    enum direction direction;
    bool has32, has64;          /* which PyTorch runs the golden file holds */
    bool has_opt;               /* a line of the fast side */
    struct metrics ref32, torch32, torch64, opt;    /* all against ref64 */
    double ref32_limit, torch32_limit;          /* torch64's is DOUBLE_LIMIT */
    double condition;           /* amplification of input errors, at least 1 */
    bool chained, pass;
};

struct findings {
    struct finding *item;
    int count, room;
    int missing;                /* in the graph but not in the golden file */
    int extra;                  /* in the golden file but not in the graph */
    int skipped;                /* runs of the fast side this machine or build cannot do */
};

/* Fills the verdict from the metrics and keeps the finding. `ref32_limit` is given
 * (ref32_bound); `chained` says that the tensor is the end of a chain of layers. */
bool findings_add(struct findings *list, struct finding *f, struct error *e);
void findings_free(struct findings *list);

/* "pico  gradient of input: ref32 1e-7 (limit 2e-7), ..." */
const char *finding_text(const struct finding *f, char *text, int size);
/* One test case per tensor. */
bool findings_junit(const struct findings *list, const char *path, struct error *e);

/* Bound on ref32's relative error: a chain of rounded sums with `terms` terms in
 * all; independent roundings add up in quadrature. 16 covers a handful of
 * operations around the sum, 4 the spread between the typical and a bad case. */
double ref32_bound(double terms);

#endif
