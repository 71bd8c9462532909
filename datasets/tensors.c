/* What all formats have in common: telling them apart, names, ranges, conversion. */
#include "tensors_internal.h"
#include "half.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TENSORS = 1 << 18, SCRATCH = 1 << 20 };

static const struct { const char *name; size_t size; } types[] = {
    [TENSOR_F64] = {"float64", 8}, [TENSOR_F32] = {"float32", 4}, [TENSOR_F16] = {"float16", 2},
    [TENSOR_BF16] = {"bfloat16", 2}, [TENSOR_I64] = {"int64", 8}, [TENSOR_I32] = {"int32", 4},
    [TENSOR_I16] = {"int16", 2}, [TENSOR_I8] = {"int8", 1}, [TENSOR_U64] = {"uint64", 8},
    [TENSOR_U32] = {"uint32", 4}, [TENSOR_U16] = {"uint16", 2}, [TENSOR_U8] = {"uint8", 1},
    [TENSOR_BOOL] = {"bool", 1},
};

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

size_t tensor_type_size(enum tensor_type type)
{
    return types[type].size;
}

/* --- opening ---------------------------------------------------------------------- */

static bool starts(const struct source *s, int64_t at, const char *magic, int length)
{
    char bytes[16];
    return source_read(s, at, length, bytes, "", NULL) && !memcmp(bytes, magic, (size_t)length);
}

static bool is_h5(const struct source *s)
{
    for (int64_t at = 0; at < s->size; at = at ? 2 * at : 512)      /* after a user block */
        if (starts(s, at, "\x89HDF\r\n\x1a\n", 8))
            return true;
    return false;
}

static const struct tensor_format *format_of(const struct source *s, struct error *e)
{
    unsigned char first[9];
    if (is_h5(s))
        return &format_h5;
    if (starts(s, 0, "PK\3\4", 4) || starts(s, 0, "PK\5\6", 4))
        return &format_npz;
    if (starts(s, 0, "\x93NUMPY", 6))
        return &format_npy;
    if (source_read(s, 0, 9, first, "", NULL) && first[8] == '{' && load_le(first, 8) < 1u << 30)
        return &format_safetensors;
    if (s->size > 1 && starts(s, 0, "\x80", 1))
        fail(e, EXIT_BAD_FILE, "%s: looks like a Python pickle, which is not read; save the tensors "
             "as npz, safetensors or HDF5", s->path);
    else
        fail(e, EXIT_BAD_FILE, "%s: neither HDF5, npz, npy nor safetensors (%lld bytes)", s->path,
             (long long)s->size);
    return NULL;
}

static _Thread_local const struct tensor_info *sorted;

static int compare_names(const void *a, const void *b)
{
    return strcmp(sorted[*(const int *)a].name, sorted[*(const int *)b].name);
}

static bool sort_names(struct tensor_file *f, struct error *e)
{
    f->by_name = malloc(((size_t)f->count + 1) * sizeof *f->by_name);
    if (!f->by_name)
        return fail(e, EXIT_USAGE, "%s: out of memory", f->source.path);
    for (int i = 0; i < f->count; i++)
        f->by_name[i] = i;
    sorted = f->info;
    qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, compare_names);
    for (int i = 1; i < f->count; i++)
        if (!strcmp(f->info[f->by_name[i]].name, f->info[f->by_name[i - 1]].name))
            return fail(e, EXIT_BAD_FILE, "%s: there are two tensors named '%s'", f->source.path,
                        f->info[f->by_name[i]].name);
    return true;
}

struct tensor_file *tensors_open(const char *path, struct error *e)
{
    struct tensor_file *f = calloc(1, sizeof *f);
    if (!f) {
        fail(e, EXIT_USAGE, "%s: out of memory", path);
        return NULL;
    }
    f->h5_index = f->columns_index = -1;
    if (source_open(&f->source, path, e) && (f->format = format_of(&f->source, e))
        && f->format->open(f, e) && sort_names(f, e))
        return f;
    tensors_close(f);
    return NULL;
}

void tensors_close(struct tensor_file *f)
{
    if (!f)
        return;
    if (f->format)
        f->format->close(f);
    source_close(&f->source);
    for (int i = 0; i < f->count; i++)
        free(f->place[i].path);
    free(f->info);
    free(f->place);
    free(f->by_name);
    free(f->scratch);
    free(f->columns);
    free(f);
}

/* --- adding, for the formats ------------------------------------------------------ */

static bool check_name(const struct tensor_file *f, const char *name, struct error *e)
{
    size_t length = strlen(name);
    if (!length || length >= TENSOR_NAME_SIZE)
        return fail(e, EXIT_BAD_FILE, "%s: tensor %d has a name of %zu bytes; 1 to %d are read",
                    f->source.path, f->count, length, TENSOR_NAME_SIZE - 1);
    return printable(name)
        || fail(e, EXIT_BAD_FILE, "%s: the name of tensor %d is no printable UTF-8", f->source.path,
                f->count);
}

static bool grow(struct tensor_file *f, struct error *e)
{
    if (f->count < f->room)
        return true;
    if (f->count >= MOST_TENSORS)
        return fail(e, EXIT_BAD_FILE, "%s: more than %d tensors", f->source.path, MOST_TENSORS);
    int room = f->room ? 2 * f->room : 64;
    struct tensor_info *info = realloc(f->info, (size_t)room * sizeof *info);
    if (info)
        f->info = info;
    struct tensor_place *place = info ? realloc(f->place, (size_t)room * sizeof *place) : NULL;
    if (!place)
        return fail(e, EXIT_USAGE, "%s: out of memory", f->source.path);
    f->place = place;
    f->room = room;
    return true;
}

bool tensors_add(struct tensor_file *f, const char *name, enum tensor_type type, int rank,
                 const int64_t *dim, const struct tensor_place *place, struct error *e)
{
    if (!check_name(f, name, e) || !grow(f, e))
        return false;
    if (rank < 0 || rank > TENSOR_MAX_RANK)
        return fail(e, EXIT_BAD_FILE, "%s: '%s' has %d dimensions, at most %d are read",
                    f->source.path, name, rank, TENSOR_MAX_RANK);
    struct tensor_info *t = &f->info[f->count];
    *t = (struct tensor_info){.type = type, .rank = rank, .count = 1};
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        /* 2^60 bytes as doubles; an empty dimension must not hide an overflow beside it. */
        if (dim[i] < 0 || (dim[i] && dim[i] > ((int64_t)1 << 57) / t->count))
            return fail(e, EXIT_BAD_FILE, "%s: '%s' has dimension %d = %lld, %s", f->source.path,
                        name, i, (long long)dim[i], dim[i] < 0 ? "negative" : "too large to read");
        t->dim[i] = dim[i];
        t->count *= dim[i] ? dim[i] : 1;
        empty = empty || !dim[i];
    }
    if (empty)
        t->count = 0;
    for (int i = 0; name[i]; i++)
        t->name[i] = name[i] == '/' ? '.' : name[i];
    f->place[f->count++] = *place;
    return true;
}

/* --- looking ---------------------------------------------------------------------- */

const char *tensors_format(const struct tensor_file *f)
{
    return f->format->name;
}

int tensors_count(const struct tensor_file *f)
{
    return f->count;
}

const struct tensor_info *tensors_info(const struct tensor_file *f, int index)
{
    return &f->info[index];
}

int tensors_find(const struct tensor_file *f, const char *name)
{
    int low = 0, high = f->count;
    while (low < high) {
        int middle = low + (high - low) / 2, order = strcmp(f->info[f->by_name[middle]].name, name);
        if (!order)
            return f->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

struct h5_file *tensors_h5(struct tensor_file *f)
{
    return f->h5;
}

/* --- reading ---------------------------------------------------------------------- */

#define EACH(T, VALUE) do { \
        for (int64_t i = 0; i < count; i++) { \
            T x; \
            memcpy(&x, (const char *)raw + i * (int64_t)sizeof x, sizeof x); \
            out[i] = VALUE; \
        } \
    } while (0)

#define CONVERT(NAME, REAL) \
    static void NAME(enum tensor_type type, const void *raw, int64_t count, REAL *out) \
    { \
        switch (type) { \
        case TENSOR_F64: EACH(double, (REAL)x); break; \
        case TENSOR_F32: EACH(float, x); break; \
        case TENSOR_F16: EACH(uint16_t, half_to_float(x)); break; \
        case TENSOR_BF16: EACH(uint16_t, bfloat16_to_float(x)); break; \
        case TENSOR_I64: EACH(int64_t, (REAL)x); break; \
        case TENSOR_I32: EACH(int32_t, (REAL)x); break; \
        case TENSOR_I16: EACH(int16_t, x); break; \
        case TENSOR_I8: EACH(int8_t, x); break; \
        case TENSOR_U64: EACH(uint64_t, (REAL)x); break; \
        case TENSOR_U32: EACH(uint32_t, (REAL)x); break; \
        case TENSOR_U16: EACH(uint16_t, x); break; \
        case TENSOR_U8: EACH(uint8_t, x); break; \
        case TENSOR_BOOL: EACH(uint8_t, x != 0); break; \
        } \
    }

CONVERT(convert_f64, double)
CONVERT(convert_f32, float)

static bool check_range(struct tensor_file *f, int index, int64_t first, int64_t count,
                        struct error *e)
{
    if (index < 0 || index >= f->count)
        return fail(e, EXIT_USAGE, "%s: there is no tensor number %d", f->source.path, index);
    const struct tensor_info *t = &f->info[index];
    if (first < 0 || count < 0 || first > t->count || count > t->count - first)
        return fail(e, EXIT_USAGE, "%s: '%s' has %lld values, asked for %lld from %lld",
                    f->source.path, t->name, (long long)t->count, (long long)count,
                    (long long)first);
    if (!f->scratch && !(f->scratch = malloc(SCRATCH)))
        return fail(e, EXIT_USAGE, "%s: out of memory", f->source.path);
    return true;
}

/* As doubles or floats, converted piece by piece. */
static bool read_as(enum tensor_type as, struct tensor_file *f, int index, int64_t first,
                    int64_t count, void *out, struct error *e)
{
    if (!check_range(f, index, first, count, e))
        return false;
    enum tensor_type type = f->info[index].type;
    if (type == as)
        return !count || f->format->read(f, index, first, count, out, e);
    int64_t most = SCRATCH / (int64_t)types[type].size;
    for (int64_t done = 0, n; done < count; done += n) {
        n = count - done < most ? count - done : most;
        if (!f->format->read(f, index, first + done, n, f->scratch, e))
            return false;
        if (as == TENSOR_F64)
            convert_f64(type, f->scratch, n, (double *)out + done);
        else
            convert_f32(type, f->scratch, n, (float *)out + done);
    }
    return true;
}

bool tensors_read_f64(struct tensor_file *f, int index, int64_t first, int64_t count, double *out,
                      struct error *e)
{
    return read_as(TENSOR_F64, f, index, first, count, out, e);
}

bool tensors_read_f32(struct tensor_file *f, int index, int64_t first, int64_t count, float *out,
                      struct error *e)
{
    return read_as(TENSOR_F32, f, index, first, count, out, e);
}
