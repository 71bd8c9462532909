/* Writing an npz, the archive of numpy.savez: stored, not compressed; byte for byte the
 * same from the same values. zip64 where a size asks for it. */
#ifndef DATASETS_NPZ_H
#define DATASETS_NPZ_H

#include "ref/error.h"

#include <stdbool.h>
#include <stdint.h>

struct npz_file;

/* Writes to "<path>.part", which npz_close() renames. */
struct npz_file *npz_create(const char *path, struct error *e);
bool npz_write_f32(struct npz_file *z, const char *name, int rank, const int64_t *dim,
                   const float *data, struct error *e);
bool npz_write_f64(struct npz_file *z, const char *name, int rank, const int64_t *dim,
                   const double *data, struct error *e);
/* False when anything could not be written; then no file is left behind. NULL is fine. */
bool npz_close(struct npz_file *z, struct error *e);

#endif
