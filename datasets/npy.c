/* npy: a magic number, a Python dict of three keys, the values. Versions 1 to 3, either
 * byte order, either order of dimensions. Also one entry of an npz.
 * Format: numpy.lib.format. */
#include "tensors_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HEADER = 1 << 16 };

/* A tensor in Fortran order is held whole while it is read. */
static const int64_t most_columns = (int64_t)1 << 30;

/* --- the header ------------------------------------------------------------------- */

struct dict {
    const char *at;
    char descr[16];
    bool fortran, has_descr, has_order, has_shape;
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
};

static bool take(struct dict *d, const char *token)
{
    while (*d->at == ' ')
        d->at++;
    size_t length = strlen(token);
    if (strncmp(d->at, token, length))
        return false;
    d->at += length;
    return true;
}

/* A short string in either kind of quotes, without escapes. */
static bool take_string(struct dict *d, char *out, size_t size)
{
    char quote = take(d, "'") ? '\'' : take(d, "\"") ? '"' : 0;
    const char *end = quote ? strchr(d->at, quote) : NULL;
    if (!end || (size_t)(end - d->at) >= size || memchr(d->at, '\\', (size_t)(end - d->at)))
        return false;
    memcpy(out, d->at, (size_t)(end - d->at));
    out[end - d->at] = 0;
    d->at = end + 1;
    return true;
}

static bool take_shape(struct dict *d)
{
    bool comma = true;
    if (!take(d, "("))
        return false;
    while (!take(d, ")")) {
        int64_t value = 0;
        if (!comma || d->rank == TENSOR_MAX_RANK || !isdigit((unsigned char)*d->at))
            return false;
        for (; isdigit((unsigned char)*d->at); d->at++) {
            if (value > (INT64_MAX - 9) / 10)
                return false;
            value = 10 * value + (*d->at - '0');
        }
        d->dim[d->rank++] = value;
        comma = take(d, ",");
    }
    return d->rank != 1 || comma;       /* (3) is no tuple */
}

static bool take_item(struct dict *d)
{
    char key[16];
    if (!take_string(d, key, sizeof key) || !take(d, ":"))
        return false;
    if (!strcmp(key, "descr") && !d->has_descr)
        return d->has_descr = take_string(d, d->descr, sizeof d->descr);
    if (!strcmp(key, "shape") && !d->has_shape)
        return d->has_shape = take_shape(d);
    if (!strcmp(key, "fortran_order") && !d->has_order) {
        d->fortran = take(d, "True");
        return d->has_order = d->fortran || take(d, "False");
    }
    return false;
}

static bool parse(struct dict *d)
{
    bool comma = true;
    if (!take(d, "{"))
        return false;
    while (!take(d, "}")) {
        if (!comma || !take_item(d))
            return false;
        comma = take(d, ",");
    }
    while (*d->at == ' ')
        d->at++;
    return d->has_descr && d->has_order && d->has_shape && !strcmp(d->at, "\n");
}

static bool type_of(const char *descr, enum tensor_type *type, bool *swap)
{
    static const struct { const char *name; enum tensor_type type; } known[] = {
        {"f8", TENSOR_F64}, {"f4", TENSOR_F32}, {"f2", TENSOR_F16}, {"i8", TENSOR_I64},
        {"i4", TENSOR_I32}, {"i2", TENSOR_I16}, {"i1", TENSOR_I8}, {"u8", TENSOR_U64},
        {"u4", TENSOR_U32}, {"u2", TENSOR_U16}, {"u1", TENSOR_U8}, {"b1", TENSOR_BOOL},
        {"V2", TENSOR_BF16},            /* how ml_dtypes' bfloat16 is saved */
    };
    if (!*descr || !strchr("<>|=", *descr))
        return false;
    bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    *swap = (*descr == '>' && !big) || (*descr == '<' && big);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(descr + 1, known[i].name)) {
            *type = known[i].type;
            *swap = *swap && tensor_type_size(*type) > 1;
            return *descr != '|' || tensor_type_size(*type) == 1 || *type == TENSOR_BF16;
        }
    return false;
}

/* Reads the dict's text; *start is where the values begin. */
static char *read_text(const char *path, const char *name, npy_bytes *read, void *context,
                       int64_t *start, struct error *e)
{
    unsigned char head[12];
    if (!read(context, 0, 10, head, e))
        return NULL;
    bool known = !memcmp(head, "\x93NUMPY", 6) && head[6] >= 1 && head[6] <= 3 && head[7] == 0;
    if (!known) {
        fail(e, EXIT_BAD_FILE, "%s: '%s' is no npy of version 1 to 3", path, name);
        return NULL;
    }
    int width = head[6] == 1 ? 2 : 4;
    if (width == 4 && !read(context, 10, 2, head + 10, e))
        return NULL;
    int64_t length = (int64_t)load_le(head + 8, width);
    if (length > MOST_HEADER) {
        fail(e, EXIT_BAD_FILE, "%s: '%s' claims an npy header of %lld bytes; at most %d are read",
             path, name, (long long)length, MOST_HEADER);
        return NULL;
    }
    char *text = calloc(1, (size_t)length + 1);
    *start = 8 + width + length;
    if (text && read(context, 8 + width, length, text, e))
        return text;
    if (!text)
        fail(e, EXIT_USAGE, "%s: out of memory", path);
    free(text);
    return NULL;
}

bool npy_header(const char *path, const char *name, int64_t bytes, npy_bytes *read, void *context,
                struct npy *out, struct error *e)
{
    struct dict d = {0};
    *out = (struct npy){.rank = 0};
    char *text = read_text(path, name, read, context, &out->place.at, e);
    if (!text)
        return false;
    d.at = text;
    bool ok = parse(&d);
    if (!ok)
        fail(e, EXIT_BAD_FILE, "%s: the npy header of '%s' makes no sense at character %d", path,
             name, (int)(d.at - text));
    free(text);
    if (ok && !type_of(d.descr, &out->type, &out->place.swap))
        ok = fail(e, EXIT_BAD_FILE, "%s: '%s' has the type '%s', which is no plain number", path,
                  name, printable(d.descr) ? d.descr : "?");
    out->rank = d.rank;
    memcpy(out->dim, d.dim, sizeof out->dim);
    out->place.fortran = d.fortran && d.rank > 1;
    double want = ok ? (double)tensor_type_size(out->type) : 0;
    int64_t have = bytes - out->place.at;
    for (int i = 0; i < d.rank; i++)
        want *= (double)d.dim[i];       /* exact wherever it can equal `have` */
    if (ok && want != (double)have)
        ok = fail(e, EXIT_BAD_FILE, "%s: by its header '%s' has %.0f bytes of values, but there are "
                  "%lld", path, name, want, (long long)have);
    return ok;
}

/* --- values ----------------------------------------------------------------------- */

static void swap_bytes(unsigned char *raw, int64_t count, size_t size)
{
    for (int64_t i = 0; i < count; i++, raw += size)
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char byte = raw[k];
            raw[k] = raw[size - 1 - k];
            raw[size - 1 - k] = byte;
        }
}

/* All values as they lie in the file, kept until another tensor is asked for. */
static bool load_columns(struct tensor_file *f, int index, npy_bytes *read, void *context,
                         struct error *e)
{
    const struct tensor_info *t = &f->info[index];
    int64_t bytes = t->count * (int64_t)tensor_type_size(t->type);
    if (f->columns_index == index)
        return true;
    free(f->columns);
    f->columns_index = -1;
    f->columns = NULL;
    if (bytes > most_columns)
        return fail(e, EXIT_BAD_FILE, "%s: '%s' is in Fortran order and larger than %lld bytes; save "
                    "it in C order", f->source.path, t->name, (long long)most_columns);
    if (!(f->columns = malloc((size_t)bytes)))
        return fail(e, EXIT_USAGE, "%s: no memory for '%s'", f->source.path, t->name);
    if (!read(context, f->place[index].at, bytes, f->columns, e))
        return false;
    f->columns_index = index;
    return true;
}

/* Row-major from first-dimension-fastest. */
static void gather(const struct tensor_info *t, const char *columns, size_t size, int64_t first,
                   int64_t count, char *out)
{
    int64_t at[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK], from = 0;
    for (int d = 0, s = 0; d < t->rank; d++, s = 1)
        stride[d] = s ? stride[d - 1] * t->dim[d - 1] : 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        at[d] = first % t->dim[d];
        first /= t->dim[d];
        from += at[d] * stride[d];
    }
    for (int64_t i = 0; i < count; i++, out += size) {
        memcpy(out, columns + from * (int64_t)size, size);
        for (int d = t->rank - 1; d >= 0; d--) {
            from += stride[d];
            if (++at[d] < t->dim[d])
                break;
            from -= t->dim[d] * stride[d];
            at[d] = 0;
        }
    }
}

bool npy_values(struct tensor_file *f, int index, int64_t first, int64_t count, npy_bytes *read,
                void *context, void *raw, struct error *e)
{
    const struct tensor_place *place = &f->place[index];
    size_t size = tensor_type_size(f->info[index].type);
    if (place->fortran) {
        if (!load_columns(f, index, read, context, e))
            return false;
        gather(&f->info[index], f->columns, size, first, count, raw);
    } else if (!read(context, place->at + first * (int64_t)size, count * (int64_t)size, raw, e)) {
        return false;
    }
    if (place->swap)
        swap_bytes(raw, count, size);
    return true;
}

/* --- a file of its own ------------------------------------------------------------ */

static bool file_bytes(void *context, int64_t at, int64_t bytes, void *out, struct error *e)
{
    const struct tensor_file *f = context;
    return source_read(&f->source, at, bytes, out, at ? "its values" : "the npy header", e);
}

/* The tensor is named after the file: "x.npy" holds x. */
static bool open_npy(struct tensor_file *f, struct error *e)
{
    struct npy n;
    char name[TENSOR_NAME_SIZE];
    const char *slash = strrchr(f->source.path, '/');
    snprintf(name, sizeof name, "%.255s", slash ? slash + 1 : f->source.path);
    size_t length = strlen(name);
    if (length > 4 && !strcmp(name + length - 4, ".npy"))
        name[length - 4] = 0;
    return npy_header(f->source.path, name, f->source.size, file_bytes, f, &n, e)
        && tensors_add(f, name, n.type, n.rank, n.dim, &n.place, e);
}

static bool read_npy(struct tensor_file *f, int index, int64_t first, int64_t count, void *raw,
                     struct error *e)
{
    return npy_values(f, index, first, count, file_bytes, f, raw, e);
}

static void close_npy(struct tensor_file *f)
{
    (void)f;
}

const struct tensor_format format_npy = {"npy", open_npy, read_npy, close_npy};
