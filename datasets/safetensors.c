/* safetensors: the length of a JSON header, the header, the values. The parser takes this
 * one kind of JSON and nothing more: an object of tensors, each {"dtype", "shape",
 * "data_offsets"}, and "__metadata__" of strings, which is skipped. As the format demands,
 * the tensors fill the rest of the file without a gap. */
#include "tensors_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HEADER = 100000000 };       /* the format's own limit */

struct header {
    const char *path;
    const char *text, *at, *end;
    struct error *error;
};

struct item {
    char dtype[16];
    int rank;
    int64_t dim[TENSOR_MAX_RANK], begin, end;
    bool has_dtype, has_shape, has_offsets;
};

static bool bad(struct header *h, const char *why)
{
    return fail(h->error, EXIT_BAD_FILE, "%s: its safetensors header, at byte %lld: %s", h->path,
                (long long)(8 + (h->at - h->text)), why);
}

/* --- tokens ----------------------------------------------------------------------- */

static void skip_space(struct header *h)
{
    while (h->at < h->end && *h->at && strchr(" \t\n\r", *h->at))
        h->at++;
}

static bool take(struct header *h, char c)
{
    skip_space(h);
    if (h->at == h->end || *h->at != c)
        return false;
    h->at++;
    return true;
}

static bool expect(struct header *h, char c)
{
    char why[] = "expected '?'";
    why[10] = c;
    return take(h, c) || bad(h, why);
}

static int hex4(struct header *h)
{
    int value = 0;
    if (h->end - h->at < 4)
        return -1;
    for (int i = 0; i < 4; i++, h->at++) {
        int c = (unsigned char)*h->at;
        if (!isxdigit(c))
            return -1;
        value = 16 * value + (isdigit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

/* The character of a \u escape, with its second half where it needs one; -1: none. */
static long unicode_escape(struct header *h)
{
    long code = hex4(h);
    if (code >> 10 == 0x36 && h->end - h->at >= 2 && h->at[0] == '\\' && h->at[1] == 'u') {
        h->at += 2;
        long low = hex4(h);
        code = low >> 10 == 0x37 ? 0x10000 + ((code & 1023) << 10) + (low & 1023) : -1;
    }
    return code >> 11 == 0x1B ? -1 : code;
}

static int put_utf8(long code, char *out)
{
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const int lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[more] | (int)(code >> 6 * more));
    for (int i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> 6 * (more - i) & 63));
    return more + 1;
}

/* One character of a string, decoded to `out` (4 bytes); its length, 0 after an error. */
static int take_character(struct header *h, char *out)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    unsigned char c = (unsigned char)*h->at++;
    out[0] = (char)c;
    if (c < 0x20)
        return bad(h, "a control character in a string");
    if (c != '\\')
        return 1;
    if (h->at == h->end)
        return bad(h, "a string is cut off");
    c = (unsigned char)*h->at++;
    const char *known = c ? strchr(plain, c) : NULL;
    long code = known ? meant[known - plain] : c == 'u' ? unicode_escape(h) : -1;
    if (code < 1)                       /* a zero would end a C string early */
        return bad(h, "an escape that is not read");
    return put_utf8(code, out);
}

/* A string of less than `size` bytes; with out == NULL of any length, skipped. */
static bool take_string(struct header *h, char *out, size_t size)
{
    size_t length = 0;
    if (!expect(h, '"'))
        return false;
    while (h->at < h->end && *h->at != '"') {
        char c[4];
        int bytes = take_character(h, c);
        if (!bytes)
            return false;
        if (out && length + (size_t)bytes >= size)
            return bad(h, "a string is too long");
        if (out)
            memcpy(out + length, c, (size_t)bytes);
        length += (size_t)bytes;
    }
    if (out)
        out[length] = 0;
    return expect(h, '"');
}

static bool take_integer(struct header *h, int64_t *out)
{
    int digits = 0;
    skip_space(h);
    const char *start = h->at;
    for (*out = 0; h->at < h->end && isdigit((unsigned char)*h->at) && digits < 18; digits++)
        *out = 10 * *out + (*h->at++ - '0');
    if (digits > 1 && *start == '0')
        return bad(h, "a number begins with 0");
    return digits ? (h->at == h->end || !isdigit((unsigned char)*h->at)
                     || bad(h, "a number is too large"))
                  : bad(h, "expected a number that is not negative");
}

/* [ ... ] of at most `most` integers. */
static bool take_integers(struct header *h, int64_t *out, int most, int *count)
{
    *count = 0;
    if (!expect(h, '['))
        return false;
    if (take(h, ']'))
        return true;
    do {
        if (*count == most)
            return bad(h, "a list is too long");
        if (!take_integer(h, &out[(*count)++]))
            return false;
    } while (take(h, ','));
    return expect(h, ']');
}

/* --- tensors ---------------------------------------------------------------------- */

static bool take_field(struct header *h, struct item *t)
{
    char key[16];
    int64_t offset[2];
    int count;
    if (!take_string(h, key, sizeof key) || !expect(h, ':'))
        return false;
    if (!strcmp(key, "dtype") && !t->has_dtype)
        return t->has_dtype = take_string(h, t->dtype, sizeof t->dtype);
    if (!strcmp(key, "shape") && !t->has_shape)
        return t->has_shape = take_integers(h, t->dim, TENSOR_MAX_RANK, &t->rank);
    if (strcmp(key, "data_offsets") || t->has_offsets)
        return bad(h, "expected dtype, shape and data_offsets, once each");
    if (!take_integers(h, offset, 2, &count))
        return false;
    if (count != 2)
        return bad(h, "expected two offsets");
    t->begin = offset[0];
    t->end = offset[1];
    return t->has_offsets = true;
}

static bool take_item(struct header *h, struct item *t)
{
    *t = (struct item){.rank = 0};
    if (!expect(h, '{'))
        return false;
    do
        if (!take_field(h, t))
            return false;
    while (take(h, ','));
    if (!t->has_dtype || !t->has_shape || !t->has_offsets)
        return bad(h, "dtype, shape or data_offsets is missing");
    return expect(h, '}');
}

static bool skip_metadata(struct header *h)
{
    if (!expect(h, '{'))
        return false;
    if (take(h, '}'))
        return true;
    do
        if (!take_string(h, NULL, 0) || !expect(h, ':') || !take_string(h, NULL, 0))
            return false;
    while (take(h, ','));
    return expect(h, '}');
}

static bool type_of(const char *dtype, enum tensor_type *type)
{
    static const struct { const char *name; enum tensor_type type; } known[] = {
        {"F64", TENSOR_F64}, {"F32", TENSOR_F32}, {"F16", TENSOR_F16}, {"BF16", TENSOR_BF16},
        {"I64", TENSOR_I64}, {"I32", TENSOR_I32}, {"I16", TENSOR_I16}, {"I8", TENSOR_I8},
        {"U64", TENSOR_U64}, {"U32", TENSOR_U32}, {"U16", TENSOR_U16}, {"U8", TENSOR_U8},
        {"BOOL", TENSOR_BOOL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(dtype, known[i].name)) {
            *type = known[i].type;
            return true;
        }
    return false;
}

static bool add(struct tensor_file *f, const char *name, const struct item *t, int64_t start,
                struct error *e)
{
    enum tensor_type type;
    bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    struct tensor_place place = {.at = start + t->begin, .swap = big};
    if (!type_of(t->dtype, &type))
        return fail(e, EXIT_BAD_FILE, "%s: '%.80s' has the type %s, which is not read",
                    f->source.path, printable(name) ? name : "?",
                    printable(t->dtype) ? t->dtype : "?");
    if (!tensors_add(f, name, type, t->rank, t->dim, &place, e))
        return false;
    int64_t want = f->info[f->count - 1].count * (int64_t)tensor_type_size(type);
    return (t->begin <= t->end && t->end - t->begin == want)
        || fail(e, EXIT_BAD_FILE, "%s: '%s' has the offsets %lld to %lld, its shape needs %lld bytes",
                f->source.path, name, (long long)t->begin, (long long)t->end, (long long)want);
}

static bool parse(struct tensor_file *f, struct header *h)
{
    int64_t start = 8 + (h->end - h->text);
    bool metadata = false;
    if (!expect(h, '{'))
        return false;
    bool more = !take(h, '}');
    while (more) {
        char name[TENSOR_NAME_SIZE];
        struct item t;
        if (!take_string(h, name, sizeof name) || !expect(h, ':'))
            return false;
        bool is_metadata = !strcmp(name, "__metadata__");
        if (is_metadata && metadata)
            return bad(h, "__metadata__ appears twice");
        metadata = metadata || is_metadata;
        if (is_metadata ? !skip_metadata(h)
                        : !take_item(h, &t) || !add(f, name, &t, start, h->error))
            return false;
        more = take(h, ',');
        if (!more && !expect(h, '}'))
            return false;
    }
    skip_space(h);                      /* padding */
    return h->at == h->end || bad(h, "something follows the header's end");
}

static _Thread_local const struct tensor_place *placed;

static int by_position(const void *a, const void *b)
{
    const struct tensor_place *x = &placed[*(const int *)a], *y = &placed[*(const int *)b];
    return (x->at > y->at) - (x->at < y->at);
}

static int64_t bytes_of(const struct tensor_info *t)
{
    return t->count * (int64_t)tensor_type_size(t->type);
}

/* No two tensors share bytes, and none lie idle between them. */
static bool check_layout(struct tensor_file *f, int64_t start, struct error *e)
{
    int *order = malloc(((size_t)f->count + 1) * sizeof *order), filled = 0;
    if (!order)
        return fail(e, EXIT_USAGE, "%s: out of memory", f->source.path);
    for (int i = 0; i < f->count; i++)
        if (f->info[i].count)
            order[filled++] = i;
    placed = f->place;
    qsort(order, (size_t)filled, sizeof *order, by_position);
    int64_t at = start;
    bool ok = true;
    for (int i = 0; ok && i < filled; i++) {
        int64_t begin = f->place[order[i]].at;
        const struct tensor_info *t = &f->info[order[i]];
        if (begin != at)
            ok = fail(e, EXIT_BAD_FILE, "%s: '%s' begins at %lld and %s", f->source.path, t->name,
                      (long long)(begin - start), begin < at ? "overlaps the tensor before it"
                                                             : "leaves a gap before it");
        at = begin + bytes_of(t);
    }
    free(order);
    if (ok && at != f->source.size)
        ok = fail(e, EXIT_BAD_FILE, "%s: its tensors end at byte %lld, the file has %lld",
                  f->source.path, (long long)at, (long long)f->source.size);
    return ok;
}

static bool open_safetensors(struct tensor_file *f, struct error *e)
{
    unsigned char head[8];
    if (!source_read(&f->source, 0, 8, head, "the header's length", e))
        return false;
    uint64_t length = load_le(head, 8);
    if (length > MOST_HEADER || (int64_t)length > f->source.size - 8)
        return fail(e, EXIT_BAD_FILE, "%s: claims a safetensors header of %llu bytes, the file has "
                    "%lld (at most %d are read)", f->source.path, (unsigned long long)length,
                    (long long)f->source.size, MOST_HEADER);
    char *text = malloc((size_t)length + 1);
    if (!text)
        return fail(e, EXIT_USAGE, "%s: out of memory", f->source.path);
    struct header h = {f->source.path, text, text, text + length, e};
    bool ok = source_read(&f->source, 8, (int64_t)length, text, "its header", e) && parse(f, &h)
           && check_layout(f, 8 + (int64_t)length, e);
    free(text);
    return ok;
}

static bool file_bytes(void *context, int64_t at, int64_t bytes, void *out, struct error *e)
{
    const struct tensor_file *f = context;
    return source_read(&f->source, at, bytes, out, "its values", e);
}

static bool read_safetensors(struct tensor_file *f, int index, int64_t first, int64_t count,
                             void *raw, struct error *e)
{
    return npy_values(f, index, first, count, file_bytes, f, raw, e);
}

static void close_safetensors(struct tensor_file *f)
{
    (void)f;
}

const struct tensor_format format_safetensors = {"safetensors", open_safetensors,
                                                 read_safetensors, close_safetensors};
