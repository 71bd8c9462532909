/* The accuracy gate: the errors of every case as recorded once, against those of now. A
 * kernel may lose a digit and still be within its tolerance; here that shows. */
#ifndef VERIFY_NUMERICS_H
#define VERIFY_NUMERICS_H

#include "verify/finding.h"

/* How often an error may be the recorded one. Rounding of the same formula by another
 * compiler stays within 1.5; a lost digit is 10. */
#define NUMERICS_FACTOR 2.0

/* One line per case, direction and side: "5.5e-08 forward opt dcnv3 n2h7.../opt-avx2", the
 * worst tensor's ||x - ref64|| / ||ref64||. Sides: ref32, torch64 (the definition against
 * PyTorch in double), opt. */
bool numerics_write(const char *path, const struct findings *found, struct error *e);

/* Prints every line that lost accuracy; their number is in *lost. Lines of cases that did
 * not run (another CPU, a filter) are left out, `all` says that nothing may be missing of
 * the sides that ran everywhere: ref32 and torch64. */
bool numerics_compare(const char *path, const struct findings *found, bool all, int *lost,
                      struct error *e);

#endif
