/* Pictures by gnuplot, which runs as a program of its own. */
#ifndef VERIFY_GNUPLOT_H
#define VERIFY_GNUPLOT_H

#include "ref/error.h"

#include <stdio.h>

/* A script to print to; "set terminal" is in it already. */
struct gnuplot {
    FILE *script;
};

bool gnuplot_begin(struct gnuplot *g, int width, int height, struct error *e);
/* Runs it; the picture (SVG, zero-terminated) is the caller's. EXIT_NOT_BUILT when there is
 * no gnuplot. Always ends what gnuplot_begin() began. */
char *gnuplot_end(struct gnuplot *g, struct error *e);

#endif
