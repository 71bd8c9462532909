/* HDF5 as tensors: every dataset below the root, flat or nested, with the checks of
 * h5_read.c. */
#include "h5_file.h"
#include "tensors_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- types ------------------------------------------------------------------------ */

/* An IEEE layout of this size: sign on top, then the exponent. */
static bool is_ieee(hid_t type, size_t exponent_bits)
{
    size_t sign, exponent, exponents, fraction, fractions, bits = 8 * H5Tget_size(type);
    return H5Tget_precision(type) == bits && H5Tget_offset(type) == 0
        && H5Tget_fields(type, &sign, &exponent, &exponents, &fraction, &fractions) >= 0
        && exponents == exponent_bits && fractions == bits - 1 - exponents && sign == bits - 1
        && exponent == fractions && fraction == 0
        && H5Tget_ebias(type) == ((size_t)1 << (exponents - 1)) - 1
        && H5Tget_norm(type) == H5T_NORM_IMPLIED;
}

static bool float_type(hid_t type, enum tensor_type *out)
{
    size_t size = H5Tget_size(type);
    *out = size == 8 ? TENSOR_F64 : size == 4 ? TENSOR_F32 : TENSOR_F16;
    if (size == 2 && is_ieee(type, 8)) {
        *out = TENSOR_BF16;
        return true;
    }
    return (size == 8 && is_ieee(type, 11)) || (size == 4 && is_ieee(type, 8))
        || (size == 2 && is_ieee(type, 5));
}

static bool integer_type(hid_t type, enum tensor_type *out)
{
    size_t size = H5Tget_size(type);
    bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    static const enum tensor_type kinds[2][9] = {
        {[1] = TENSOR_U8, [2] = TENSOR_U16, [4] = TENSOR_U32, [8] = TENSOR_U64},
        {[1] = TENSOR_I8, [2] = TENSOR_I16, [4] = TENSOR_I32, [8] = TENSOR_I64},
    };
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return false;
    *out = kinds[is_signed][size];
    return H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
}

/* h5py's bool: an enum of one byte, FALSE = 0 and TRUE = 1. */
static bool bool_type(hid_t type, enum tensor_type *out)
{
    *out = TENSOR_BOOL;
    return H5Tget_size(type) == 1 && H5Tget_nmembers(type) == 2;
}

static bool type_of(hid_t type, enum tensor_type *out)
{
    switch (type < 0 ? H5T_NO_CLASS : H5Tget_class(type)) {
    case H5T_FLOAT: return float_type(type, out);
    case H5T_INTEGER: return integer_type(type, out);
    case H5T_ENUM: return bool_type(type, out);
    default: return false;
    }
}

/* --- opening ---------------------------------------------------------------------- */

struct listing {
    struct tensor_file *file;
    struct error *error;
};

static bool add(void *context, const char *path)
{
    struct listing *l = context;
    struct h5_info info;
    enum tensor_type type = TENSOR_F32;
    struct tensor_place place = {.path = strdup(path)};
    hid_t id = h5_open_dataset(l->file->h5, path, &info, l->error);
    if (id < 0) {
        free(place.path);
        return false;
    }
    hid_t stored = H5Dget_type(id);
    bool ok = type_of(stored, &type)
           || fail(l->error, EXIT_BAD_FILE, "%s: '%s' is no float16, bfloat16, float32, float64, "
                   "bool or plain integer", l->file->source.path, path);
    if (stored >= 0)
        H5Tclose(stored);
    H5Oclose(id);
    ok = ok && tensors_add(l->file, path, type, info.rank, info.dim, &place, l->error);
    if (!ok)
        free(place.path);
    return ok;
}

static bool open_h5(struct tensor_file *f, struct error *e)
{
    struct listing l = {f, e};
    f->h5 = h5_open(f->source.path, e);
    return f->h5 && h5_each_path(f->h5, "", add, &l, e);
}

static void leave_dataset(struct tensor_file *f)
{
    if (f->h5_index >= 0)
        H5Dclose(f->h5_dataset);
    f->h5_index = -1;
}

static void close_h5(struct tensor_file *f)
{
    leave_dataset(f);
    h5_close(f->h5, NULL);
}

/* --- reading ---------------------------------------------------------------------- */

/* Room for all chunks that a row of the first dimension touches: pieces that end inside
 * a chunk must not unpack it again. */
static hid_t chunk_cache(hid_t dataset, const struct tensor_info *t)
{
    hsize_t chunk[H5_MAX_RANK];
    hid_t plist = H5Dget_create_plist(dataset), access = H5Pcreate(H5P_DATASET_ACCESS);
    int rank = H5Pget_layout(plist) == H5D_CHUNKED ? H5Pget_chunk(plist, H5_MAX_RANK, chunk) : 0;
    double bytes = (double)tensor_type_size(t->type), most = 256 << 20;
    for (int d = 0; d < rank; d++) {
        double chunks = d ? (double)((t->dim[d] + (int64_t)chunk[d] - 1) / (int64_t)chunk[d]) : 1;
        bytes *= (double)chunk[d] * chunks;
    }
    H5Pclose(plist);
    bytes = bytes > most ? most : bytes < 1 << 20 ? 1 << 20 : bytes;
    H5Pset_chunk_cache(access, 10007, (size_t)bytes, 1.0);
    return access;
}

static bool enter_dataset(struct tensor_file *f, int index, struct error *e)
{
    struct h5_info info;
    if (f->h5_index == index)
        return true;
    leave_dataset(f);
    hid_t id = h5_open_dataset(f->h5, f->place[index].path, &info, e);
    if (id < 0)
        return false;
    hid_t access = chunk_cache(id, &f->info[index]);
    H5Oclose(id);
    f->h5_dataset = H5Dopen2(f->h5->id, f->place[index].path, access);
    H5Pclose(access);
    if (f->h5_dataset < 0)
        return fail(e, EXIT_BAD_FILE, "%s: '%s' cannot be opened", f->source.path,
                    f->place[index].path);
    f->h5_index = index;
    return true;
}

/* The largest box that begins at `first`, is contiguous in row-major order and holds at
 * most `count` values; returns how many. */
static int64_t next_box(const struct tensor_info *t, int64_t first, int64_t count, hsize_t *start,
                        hsize_t *size)
{
    int64_t inner[TENSOR_MAX_RANK], values = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        inner[d] = values;
        values *= t->dim[d];
        start[d] = (hsize_t)(first / inner[d] % t->dim[d]);
        size[d] = 1;
    }
    int d = 0;
    while (first % inner[d] || inner[d] > count)
        d++;
    int64_t rows = count / inner[d], most = t->dim[d] - (int64_t)start[d];
    size[d] = (hsize_t)(rows < most ? rows : most);
    for (int k = d + 1; k < t->rank; k++)
        size[k] = (hsize_t)t->dim[k];
    return (int64_t)size[d] * inner[d];
}

/* The stored type in this machine's byte order: no value is converted. */
static hid_t memory_type(hid_t dataset)
{
    H5T_order_t order = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? H5T_ORDER_BE : H5T_ORDER_LE;
    hid_t stored = H5Dget_type(dataset), type = H5Tcopy(stored);
    if (stored >= 0)
        H5Tclose(stored);
    if (type < 0 || H5Tget_class(type) == H5T_ENUM || H5Tset_order(type, order) >= 0)
        return type;
    H5Tclose(type);
    return -1;
}

static bool read_boxes(hid_t dataset, const struct tensor_info *t, int64_t first, int64_t count,
                       char *raw)
{
    hid_t type = memory_type(dataset), space = H5Dget_space(dataset);
    bool ok = type >= 0 && space >= 0;
    while (ok && count > 0) {
        hsize_t start[H5_MAX_RANK], size[H5_MAX_RANK], values = 1;
        if (t->rank) {
            values = (hsize_t)next_box(t, first, count, start, size);
            ok = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0;
        }
        hid_t memory = H5Screate_simple(1, &values, NULL);
        ok = ok && H5Dread(dataset, type, memory, space, H5P_DEFAULT, raw) >= 0;
        H5Sclose(memory);
        raw += values * tensor_type_size(t->type);
        first += (int64_t)values;
        count -= (int64_t)values;
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return ok;
}

static bool read_h5(struct tensor_file *f, int index, int64_t first, int64_t count, void *raw,
                    struct error *e)
{
    if (!enter_dataset(f, index, e))
        return false;
    return read_boxes(f->h5_dataset, &f->info[index], first, count, raw)
        || fail(e, EXIT_BAD_FILE, "%s: the values of '%s' cannot be read", f->source.path,
                f->place[index].path);
}

const struct tensor_format format_h5 = {"HDF5", open_h5, read_h5, close_h5};
