/* The result of a comparison, for people and for machines. */
#ifndef VERIFY_PORT_REPORT_H
#define VERIFY_PORT_REPORT_H

#include "compare.h"

struct report {
    const char *golden, *mine;          /* paths as given */
    const char *options;                /* for the same file: " --map FILE", or "" */
    const struct port *port;
    const struct comparison *result;
    enum number type;
    double seconds;
};

/* Aligned table on stdout: the first divergent layer and the ten worst, or all. */
void report_text(const struct report *r, bool all);
void report_json(const struct report *r);
/* One test case per layer. */
bool report_junit(const struct report *r, const char *path, struct error *e);
/* One self-contained file with plots; EXIT_NOT_BUILT when there is no gnuplot. */
bool report_html(const struct report *r, const char *path, struct error *e);

/* --- shared by the reports ---------------------------------------------------------- */

/* One sentence about a layer: what, how far off, where. */
const char *report_sentence(const struct report *r, const struct compared *x, char *text, int size);
/* Largest over all layers; *at is the layer, NULL when nothing was compared. */
struct report_worst {
    double entire, single;              /* error / envelope */
    double atol, rtol;                  /* the smallest tolerance that would pass, as run */
    const struct compared *largest;     /* the layer of the largest |x| */
    int overflows;                      /* layers whose |x| is beyond float16 */
    const struct compared *overflow;    /* the first of them */
};
struct report_worst report_worst(const struct report *r);

#endif
