/* The conformance suite as files, and how good a suite is. docs/vectors.md. */
#ifndef VERIFY_PORT_VECTORS_H
#define VERIFY_PORT_VECTORS_H

#include "suite.h"
#include "vector_file.h"

/* Writes the suite, its manifest and README.md into the folder, which is made when missing.
 * `only`: files whose name begins so; NULL: all. The same bytes every time. */
bool vectors_write(const char *folder, const char *only, struct error *e);
/* Settings of public test suites with seeded numbers: "internimage" (the operator's own
 * test.py) or "torchvision" (test_ops.py). */
bool vectors_recreate(const char *suite, const char *folder, struct error *e);

/* --- shared by the two -------------------------------------------------------------------- */

/* Runs a case of one op forward, and backward when there is a d_output, and writes it. */
bool vector_write_op(struct vector_file *f, const char *name, struct pair *p, double condition,
                     const float *d_output, struct error *e);
struct vector_folder {
    const char *path;
    struct json manifest;
};
bool vector_folder_open(struct vector_folder *d, const char *path, struct error *e);
bool vector_folder_close(struct vector_folder *d, struct error *e);
bool vector_readme(const char *folder, struct error *e);

/* --- scoring: vectors_score.c ---------------------------------------------------------------- */

enum { SCORE_COLUMNS = 8 };

/* One wrong convention on one kind of op (ops whose row applies; OP_COUNT: a whole block). */
struct score_row {
    const char *code, *title, *op;
    int applied[SCORE_COLUMNS], killed[SCORE_COLUMNS];      /* cases, per column */
};
struct score {
    char column[SCORE_COLUMNS][32];
    int columns, rows, cases, tensors;
    int first_gradient;         /* the rows from here on are wrong gradients */
    int false_alarms;           /* tensors where the right result is refused */
    char alarm[200];            /* the first */
    struct score_row *row;
};

/* Every wrong convention against every case of every .h5 file of the folder (or one file).
 * `quick`: a mistake that has been noticed once is not tried again. */
bool vectors_score(const char *folder, bool quick, struct score *s, struct error *e);
/* Rows that apply at all, and those that some case notices. */
void score_total(const struct score *s, int *mutants, int *killed);
void score_free(struct score *s);

#endif
