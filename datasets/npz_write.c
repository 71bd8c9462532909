#include "npz.h"
#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST_HEADER = 512, MOST_RECORD = 128 + TENSOR_NAME_SIZE };

/* A tensor that has been written. */
struct written {
    char name[TENSOR_NAME_SIZE + 4];
    int64_t at, bytes;
    uint32_t crc;
};

struct npz_file {
    FILE *to;
    char path[4096];
    struct written *entry;
    int count, room;
    int64_t at;                         /* bytes written so far */
    bool failed;
};

/* --- little-endian records -------------------------------------------------------- */

struct record {
    unsigned char byte[MOST_RECORD];
    size_t size;
};

static void put(struct record *r, int bytes, uint64_t value)
{
    for (int i = 0; i < bytes; i++, value >>= 8)
        r->byte[r->size++] = (unsigned char)value;
}

static void put_text(struct record *r, const char *text, size_t length)
{
    memcpy(r->byte + r->size, text, length);
    r->size += length;
}

static uint64_t in_32(int64_t value)
{
    return value < UINT32_MAX ? (uint64_t)value : UINT32_MAX;
}

static bool write_bytes(struct npz_file *z, const void *data, size_t bytes, struct error *e)
{
    z->failed = z->failed || fwrite(data, 1, bytes, z->to) != bytes;
    z->at += (int64_t)bytes;
    return !z->failed || fail(e, EXIT_BAD_FILE, "%s: could not be written completely", z->path);
}

/* Version, flags, method, time, date (1980-01-01), checksum, sizes, name length: what the
 * local header and the directory have in common. */
static void put_common(struct record *r, const struct written *w, bool large)
{
    put(r, 2, large ? 45 : 20);
    put(r, 2, 0x800);                   /* the name is UTF-8 */
    put(r, 2, 0);
    put(r, 4, 0x00210000);
    put(r, 4, w->crc);
    put(r, 4, large ? UINT32_MAX : (uint64_t)w->bytes);
    put(r, 4, large ? UINT32_MAX : (uint64_t)w->bytes);
    put(r, 2, strlen(w->name));
}

static bool write_local(struct npz_file *z, const struct written *w, struct error *e)
{
    struct record r = {.size = 0};
    bool large = w->bytes >= UINT32_MAX;
    put_text(&r, "PK\3\4", 4);
    put_common(&r, w, large);
    put(&r, 2, large ? 20 : 0);
    put_text(&r, w->name, strlen(w->name));
    if (large) {
        put(&r, 2, 1);
        put(&r, 2, 16);
        put(&r, 8, (uint64_t)w->bytes);
        put(&r, 8, (uint64_t)w->bytes);
    }
    return write_bytes(z, r.byte, r.size, e);
}

static bool write_central(struct npz_file *z, const struct written *w, struct error *e)
{
    struct record r = {.size = 0};
    bool large = w->bytes >= UINT32_MAX, far = w->at >= UINT32_MAX;
    int extra = 16 * large + 8 * far;
    put_text(&r, "PK\1\2", 4);
    put(&r, 2, 45);
    put_common(&r, w, large);
    put(&r, 2, (uint64_t)(extra ? extra + 4 : 0));
    put(&r, 8, 0);                      /* comment, disk, attributes */
    put(&r, 2, 0);
    put(&r, 4, in_32(w->at));
    put_text(&r, w->name, strlen(w->name));
    if (extra) {
        put(&r, 2, 1);
        put(&r, 2, (uint64_t)extra);
    }
    for (int i = 0; large && i < 2; i++)
        put(&r, 8, (uint64_t)w->bytes);
    if (far)
        put(&r, 8, (uint64_t)w->at);
    return write_bytes(z, r.byte, r.size, e);
}

static bool write_end(struct npz_file *z, int64_t directory, struct error *e)
{
    struct record r = {.size = 0};
    int64_t end = z->at, bytes = end - directory, count = z->count;
    bool large = directory >= UINT32_MAX || bytes >= UINT32_MAX || count >= UINT16_MAX;
    if (large) {
        put_text(&r, "PK\6\6", 4);
        put(&r, 8, 44);
        put(&r, 2, 45);
        put(&r, 2, 45);
        put(&r, 8, 0);
        put(&r, 8, (uint64_t)count);
        put(&r, 8, (uint64_t)count);
        put(&r, 8, (uint64_t)bytes);
        put(&r, 8, (uint64_t)directory);
        put_text(&r, "PK\6\7", 4);
        put(&r, 4, 0);
        put(&r, 8, (uint64_t)end);
        put(&r, 4, 1);
    }
    put_text(&r, "PK\5\6", 4);
    put(&r, 4, 0);
    put(&r, 2, count < UINT16_MAX ? (uint64_t)count : UINT16_MAX);
    put(&r, 2, count < UINT16_MAX ? (uint64_t)count : UINT16_MAX);
    put(&r, 4, in_32(bytes));
    put(&r, 4, in_32(directory));
    put(&r, 2, 0);
    return write_bytes(z, r.byte, r.size, e);
}

/* --- tensors ---------------------------------------------------------------------- */

/* Magic number, version 1.0, the dict, padded to a multiple of 64 bytes. */
static size_t npy_text(char *out, const char *descr, int rank, const int64_t *dim)
{
    char shape[TENSOR_MAX_RANK * 22 + 4];
    size_t used = 0;
    shape[0] = 0;
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%lld,%s", (long long)dim[i],
                                 i + 1 < rank ? " " : "");
    if (rank > 1)
        shape[used - 1] = 0;            /* (3,) but (2, 3) */
    size_t length = (size_t)snprintf(out + 10, MOST_HEADER - 10,
                                     "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                                     descr, shape);
    size_t total = (10 + length + 1 + 63) / 64 * 64;
    memset(out + 10 + length, ' ', total - 10 - length - 1);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (char)((total - 10) & 255);
    out[9] = (char)((total - 10) >> 8);
    return total;
}

static struct written *new_entry(struct npz_file *z, const char *name, struct error *e)
{
    if (z->count == z->room) {
        int room = z->room ? 2 * z->room : 64;
        struct written *more = realloc(z->entry, (size_t)room * sizeof *more);
        if (!more) {
            fail(e, EXIT_USAGE, "%s: out of memory", z->path);
            return NULL;
        }
        z->entry = more;
        z->room = room;
    }
    struct written *w = &z->entry[z->count];
    if (strlen(name) < TENSOR_NAME_SIZE) {
        snprintf(w->name, sizeof w->name, "%s.npy", name);
        return w;
    }
    fail(e, EXIT_USAGE, "%s: the name '%.40s...' is too long", z->path, name);
    return NULL;
}

static uint32_t checksum(uint32_t crc, const unsigned char *data, int64_t bytes)
{
    for (int64_t part; bytes > 0; bytes -= part, data += part) {
        part = bytes < 1 << 30 ? bytes : 1 << 30;
        crc = (uint32_t)crc32(crc, data, (unsigned)part);
    }
    return crc;
}

static bool write_tensor(struct npz_file *z, const char *name, const char *descr, int rank,
                         const int64_t *dim, const void *data, int64_t size, struct error *e)
{
    char head[MOST_HEADER];
    int64_t bytes = size;
    for (int i = 0; i < rank; i++)
        bytes *= dim[i];
    struct written *w = rank <= TENSOR_MAX_RANK ? new_entry(z, name, e) : NULL;
    z->failed = z->failed || !w;
    if (z->failed)
        return fail(e, EXIT_USAGE, "%s: cannot write '%s' of %d dimensions", z->path, name, rank);
    size_t length = npy_text(head, descr, rank, dim);
    w->at = z->at;
    w->bytes = (int64_t)length + bytes;
    w->crc = checksum(checksum(0, (unsigned char *)head, (int64_t)length), data, bytes);
    z->count++;
    return write_local(z, w, e) && write_bytes(z, head, length, e)
        && write_bytes(z, data, (size_t)bytes, e);
}

enum { BIG = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ };

bool npz_write_f32(struct npz_file *z, const char *name, int rank, const int64_t *dim,
                   const float *data, struct error *e)
{
    return write_tensor(z, name, BIG ? ">f4" : "<f4", rank, dim, data, sizeof *data, e);
}

bool npz_write_f64(struct npz_file *z, const char *name, int rank, const int64_t *dim,
                   const double *data, struct error *e)
{
    return write_tensor(z, name, BIG ? ">f8" : "<f8", rank, dim, data, sizeof *data, e);
}

/* --- the file --------------------------------------------------------------------- */

struct npz_file *npz_create(const char *path, struct error *e)
{
    char part[4104];
    struct npz_file *z = calloc(1, sizeof *z);
    if (!z) {
        fail(e, EXIT_USAGE, "%s: out of memory", path);
        return NULL;
    }
    bool fits = snprintf(z->path, sizeof z->path, "%s", path) < (int)sizeof z->path - 8;
    snprintf(part, sizeof part, "%s.part", z->path);
    if (fits && (z->to = fopen(part, "wb")))
        return z;
    fail(e, EXIT_BAD_FILE, "%s: cannot be created", z->path);
    free(z);
    return NULL;
}

bool npz_close(struct npz_file *z, struct error *e)
{
    char part[4104];
    if (!z)
        return true;
    int64_t directory = z->at;
    bool ok = !z->failed;
    for (int i = 0; ok && i < z->count; i++)
        ok = write_central(z, &z->entry[i], e);
    ok = ok && write_end(z, directory, e);
    ok = fclose(z->to) == 0 && ok;
    snprintf(part, sizeof part, "%s.part", z->path);
    ok = ok && rename(part, z->path) == 0;
    if (!ok) {
        remove(part);
        fail(e, EXIT_BAD_FILE, "%s: could not be written completely", z->path);
    }
    free(z->entry);
    free(z);
    return ok;
}
