/* The paper's tables (arXiv 2211.05778), recomputed where arithmetic can. Each prints
 * itself and returns EXIT_MATCH, or EXIT_MISMATCH when a figure differs from the published
 * one without a stated reason. */
#ifndef VERIFY_TABLES_H
#define VERIFY_TABLES_H

#include "ref/internimage.h"

int tables_params(struct error *e);
int tables_models(struct error *e);
int tables_scaling(struct error *e);
int tables_stacking(struct error *e);
int tables_sharing(struct error *e);
int tables_kernel(struct error *e);
int tables_dcnv2(struct error *e);
int tables_ablations(struct error *e);
int tables_learned(struct error *e);

/* Parameters and multiply-accumulates of one image. */
struct cost {
    int64_t parameters;
    double macs;
    double values;              /* activations of one image */
};
bool cost_of(const struct internimage_config *c, int size, struct cost *cost, struct error *e);

/* A published figure, in units with so many decimals: "rounds" when `ours` is printed the
 * same, "truncated" when cutting digits off gives it, "DIFFERS". */
const char *agreement(double ours, double published, int decimals);

/* L3 whose model comes closest to `parameters`, the rest as it is; at least 1. */
int depth_for(const struct internimage_config *c, double parameters, struct error *e);

/* What a projection per sampling point costs, per scale (figure 4). */
struct sharing {
    double shared, unshared;    /* parameters */
    double saved;               /* %, of the unshared model's parameters */
    double kept_mb, samples_mb; /* float32 of one image: activations; sampled values */
    double memory_saved;        /* %, of kept + samples */
};
bool sharing_of(const char *model, int size, struct sharing *s, struct error *e);

#endif
