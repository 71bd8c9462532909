/* The three plots of a comparison, as SVG; legible in black and white. The caller frees;
 * NULL with *e filled when gnuplot is missing or fails. */
#ifndef VERIFY_PORT_PLOTS_H
#define VERIFY_PORT_PLOTS_H

#include "report.h"

/* Single and entire error of every layer in graph order, with the limit. */
char *plot_layers(const struct report *r, struct error *e);
/* How the error of the pictured layer is distributed. */
char *plot_bins(const struct report *r, struct error *e);
/* Where in the image it is; only when the picture has a map. */
char *plot_map(const struct report *r, struct error *e);

#endif
