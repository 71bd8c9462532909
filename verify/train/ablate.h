/* Inside of `internimage ablate`: cmd_ablate.c trains, ablate_runs.c keeps what was
 * trained, ablate_table.c reads it, ablate_speed.c measures a step. */
#ifndef VERIFY_TRAIN_ABLATE_H
#define VERIFY_TRAIN_ABLATE_H

#include "ablations.h"

#include <stdint.h>
#include <stdio.h>

enum { MOST_EPOCHS = 100 };

/* One finished training: one line of the results file. */
struct ablate_run {
    char name[32];                      /* of the ablation */
    char plan[192];                     /* everything else that decides the numbers */
    uint64_t seed;
    int64_t parameters;
    double mmacs;                       /* 1e6 multiply-accumulates per image */
    double step_ms;                     /* CPU time of a training step, one thread */
    bool diverged;                      /* the loss became infinite: no accuracy */
    double accuracy, loss, seconds;     /* on test images, of 1; last epoch's training loss */
    double curve[MOST_EPOCHS];          /* accuracy after each epoch */
    int epochs;
};

struct ablate_runs {
    struct ablate_run *run;
    int count;
};

/* A file that does not exist has no runs; a line that was cut off by a kill is no run. */
bool ablate_read(const char *path, struct ablate_runs *runs, struct error *e);
void ablate_runs_free(struct ablate_runs *runs);
/* Appends one line, whole: other processes may append to the same file. */
bool ablate_append(const char *path, const struct ablate_run *run, struct error *e);
bool ablate_has(const struct ablate_runs *runs, const char *name, uint64_t seed);
/* Fills run->curve from the lines train() logged. */
void ablate_curve(struct ablate_run *run, const char *log);

/* Mean, spread, and what can be said against the base. */
void ablate_table(const struct ablate_runs *runs, FILE *to);
/* Blocks for gnuplot: first one line per ablation, then one block each, per epoch. */
void ablate_plot_data(const struct ablate_runs *runs, FILE *to);

/* Half the width of the 95 % interval of a mean (Student's t); infinite for one value. */
double half_width(double sd, int n);

/* Forward and backward of one batch of square images. 0 after filling *e. */
double ablate_step_seconds(const struct internimage_config *c, int batch, int size,
                           struct error *e);

#endif
