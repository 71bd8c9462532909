/* Shared by tensors.c and the readers of one format each. */
#ifndef DATASETS_TENSORS_INTERNAL_H
#define DATASETS_TENSORS_INTERNAL_H

#include "source.h"
#include "tensors.h"

#include <stddef.h>

struct h5_file;
struct zip;

/* Where the values of one tensor lie. */
struct tensor_place {
    int64_t at;                 /* byte position of the first value, in the file or zip entry */
    int entry;                  /* zip entry */
    bool swap;                  /* stored in the other byte order */
    bool fortran;               /* first dimension fastest */
    char *path;                 /* HDF5: the object */
};

struct tensor_format {
    const char *name;
    bool (*open)(struct tensor_file *f, struct error *e);
    /* Values [first, first + count) in row-major order as they are, in this machine's
     * byte order. count > 0, inside the tensor. */
    bool (*read)(struct tensor_file *f, int index, int64_t first, int64_t count, void *raw,
                 struct error *e);
    void (*close)(struct tensor_file *f);
};

extern const struct tensor_format format_h5, format_npy, format_npz, format_safetensors;

struct tensor_file {
    const struct tensor_format *format;
    struct source source;
    struct tensor_info *info;
    struct tensor_place *place;
    int *by_name;               /* indices in the order of names */
    int count, room;
    void *scratch;              /* raw values on their way to be converted */

    struct zip *zip;            /* npz */
    struct h5_file *h5;         /* HDF5 ... */
    int64_t h5_dataset;         /* ... and the dataset of the last read: */
    int h5_index;               /* its index; -1: none */
    void *columns;              /* npy, npz: a whole tensor in Fortran order */
    int columns_index;
};

size_t tensor_type_size(enum tensor_type type);

/* Appends a tensor; '/' in its name becomes '.'. Checks the name and the dimensions, sets
 * count. The new index is f->count - 1. */
bool tensors_add(struct tensor_file *f, const char *name, enum tensor_type type, int rank,
                 const int64_t *dim, const struct tensor_place *place, struct error *e);

/* npy headers (format_npy, format_npz). `bytes` is what the file or zip entry holds, `read`
 * reads from it. Fills type, rank, dim, place. */
struct npy {
    enum tensor_type type;
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
    struct tensor_place place;
};
typedef bool npy_bytes(void *context, int64_t at, int64_t bytes, void *out, struct error *e);
bool npy_header(const char *path, const char *name, int64_t bytes, npy_bytes *read, void *context,
                struct npy *out, struct error *e);
/* Values of an npy tensor in row-major order, whatever the order it is stored in. */
bool npy_values(struct tensor_file *f, int index, int64_t first, int64_t count, npy_bytes *read,
                void *context, void *raw, struct error *e);

#endif
