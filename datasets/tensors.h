/* Tensors by name out of any file a port may leave behind: HDF5 (flat or nested keys), npz,
 * npy, safetensors. One interface, so that what compares, inspects or converts does not
 * care which.
 *
 * Files are hostile, see h5.h: every size is checked before anything is allocated, every
 * failure is EXIT_BAD_FILE and one sentence naming the file, the object and what is wrong.
 * Values are read in pieces, so a tensor may be larger than memory. */
#ifndef DATASETS_TENSORS_H
#define DATASETS_TENSORS_H

#include "ref/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { TENSOR_MAX_RANK = 8, TENSOR_NAME_SIZE = 256 };

enum tensor_type {
    TENSOR_F64, TENSOR_F32, TENSOR_F16, TENSOR_BF16,
    TENSOR_I64, TENSOR_I32, TENSOR_I16, TENSOR_I8,
    TENSOR_U64, TENSOR_U32, TENSOR_U16, TENSOR_U8, TENSOR_BOOL
};

struct tensor_info {
    char name[TENSOR_NAME_SIZE];        /* nested names are joined by dots */
    enum tensor_type type;
    int rank;                           /* 0: a scalar */
    int64_t dim[TENSOR_MAX_RANK], count;        /* 0: an empty tensor */
};

struct tensor_file;
struct h5_file;

/* The format is told from the first bytes, not from the name. */
struct tensor_file *tensors_open(const char *path, struct error *e);
void tensors_close(struct tensor_file *f);              /* NULL is fine */

const char *tensors_format(const struct tensor_file *f);        /* "HDF5", "npz", ... */
int tensors_count(const struct tensor_file *f);
const struct tensor_info *tensors_info(const struct tensor_file *f, int index);
int tensors_find(const struct tensor_file *f, const char *name);        /* -1: not there */
struct h5_file *tensors_h5(struct tensor_file *f);      /* for attributes; NULL: not HDF5 */

/* Values [first, first + count) in row-major order, converted. Reading on from where the
 * last read ended is fast in every format; going back in a deflated npz unpacks again. A
 * file belongs to one thread. */
bool tensors_read_f64(struct tensor_file *f, int index, int64_t first, int64_t count, double *out,
                      struct error *e);
bool tensors_read_f32(struct tensor_file *f, int index, int64_t first, int64_t count, float *out,
                      struct error *e);

const char *tensor_type_name(enum tensor_type type);    /* "float32", "bfloat16", ... */

#endif
