#include "zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, CENTRAL_SIZE = 46, LOCAL_SIZE = 30,
    MOST_COMMENT = 65535, MOST_ENTRIES = 1 << 18, MOST_NAME = 1024, STORED = 0, DEFLATED = 8,
    BLOCK = 1 << 16
};

struct entry {
    char *name;
    int method, flags;
    uint32_t crc;
    int64_t packed, size, header, data;     /* header, data: positions in the file */
};

struct zip {
    const struct source *source;
    struct entry *entry;
    int count, named;                       /* named: entries read so far */
    /* The entry that is being read: */
    int current;                            /* -1: none */
    int64_t at, packed_at;                  /* next byte to come out, to go in */
    bool whole;                             /* every byte since the first has come out */
    uint32_t crc;
    z_stream stream;
    unsigned char in[BLOCK], skipped[BLOCK];
};

static bool damaged(const struct zip *z, struct error *e, const char *why)
{
    return fail(e, EXIT_BAD_FILE, "%s: damaged zip archive: %s", z->source->path, why);
}

/* --- the directory ---------------------------------------------------------------- */

struct directory { int64_t at, bytes, count; };

/* The end record is the last thing in the file but for a comment. */
static int64_t find_end(struct zip *z, unsigned char *end, struct error *e)
{
    int64_t size = z->source->size, most = END_SIZE + MOST_COMMENT;
    int64_t bytes = size < most ? size : most, found = -1;
    unsigned char *tail = malloc((size_t)bytes + 1);
    if (tail && source_read(z->source, size - bytes, bytes, tail, "the end of the zip archive", e))
        for (int64_t i = bytes - END_SIZE; i >= 0 && found < 0; i--)
            if (!memcmp(tail + i, "PK\5\6", 4)
                && i + END_SIZE + (int64_t)load_le(tail + i + 20, 2) == bytes) {
                memcpy(end, tail + i, END_SIZE);
                found = size - bytes + i;
            }
    free(tail);
    if (found < 0)
        damaged(z, e, "it has no directory at its end (cut off?)");
    return found;
}

static bool find_directory64(struct zip *z, int64_t locator_at, struct directory *d,
                             struct error *e)
{
    unsigned char locator[LOCATOR_SIZE], end[END64_SIZE];
    if (locator_at < 0
        || !source_read(z->source, locator_at, LOCATOR_SIZE, locator, "the zip64 locator", e)
        || memcmp(locator, "PK\6\7", 4))
        return damaged(z, e, "the zip64 locator is missing");
    int64_t at = (int64_t)load_le(locator + 8, 8);
    if (!source_read(z->source, at, END64_SIZE, end, "the zip64 directory record", e))
        return false;
    if (memcmp(end, "PK\6\6", 4) || load_le(end + 16, 4) || load_le(end + 20, 4)
        || load_le(end + 24, 8) != load_le(end + 32, 8))
        return damaged(z, e, "the zip64 directory record makes no sense");
    *d = (struct directory){.at = (int64_t)load_le(end + 48, 8),
                            .bytes = (int64_t)load_le(end + 40, 8),
                            .count = (int64_t)load_le(end + 32, 8)};
    return true;
}

static bool find_directory(struct zip *z, struct directory *d, struct error *e)
{
    unsigned char end[END_SIZE];
    int64_t at = find_end(z, end, e);
    if (at < 0)
        return false;
    *d = (struct directory){.at = (int64_t)load_le(end + 16, 4),
                            .bytes = (int64_t)load_le(end + 12, 4),
                            .count = (int64_t)load_le(end + 10, 2)};
    bool large = d->at == UINT32_MAX || d->bytes == UINT32_MAX || d->count == UINT16_MAX;
    if (large && !find_directory64(z, at - LOCATOR_SIZE, d, e))
        return false;
    if (!large && (load_le(end + 4, 4) || load_le(end + 8, 2) != load_le(end + 10, 2)))
        return damaged(z, e, "it spans several disks");
    if (d->at < 0 || d->bytes < 0 || d->at > at || d->bytes > at - d->at)
        return damaged(z, e, "the directory lies outside the file");
    if (d->count < 0 || d->count > MOST_ENTRIES || d->count > d->bytes / CENTRAL_SIZE)
        return damaged(z, e, "the directory is too small for its number of entries");
    return true;
}

/* Sizes and positions of 32 ones are in the extra field, in this order. */
static bool read_zip64(struct zip *z, struct entry *n, const unsigned char *extra, size_t length,
                       struct error *e)
{
    int64_t *field[] = {&n->size, &n->packed, &n->header};
    while (length >= 4) {
        size_t id = load_le(extra, 2), bytes = load_le(extra + 2, 2), used = 0;
        extra += 4;
        length -= 4;
        if (bytes > length)
            return damaged(z, e, "an extra field runs over its end");
        for (int i = 0; id == 1 && i < 3; i++)
            if (*field[i] == UINT32_MAX && used + 8 <= bytes) {
                *field[i] = (int64_t)load_le(extra + used, 8);
                used += 8;
            }
        extra += bytes;
        length -= bytes;
    }
    return (n->size >= 0 && n->packed >= 0 && n->header >= 0) || damaged(z, e, "a size is negative");
}

static bool check_entry(struct zip *z, const struct entry *n, struct error *e)
{
    const char *path = z->source->path, *why = NULL;
    if (n->flags & 0x2041)
        why = "is encrypted";
    else if (n->method != STORED && n->method != DEFLATED)
        why = "is compressed by a method other than deflate";
    else if (n->method == STORED && n->packed != n->size)
        why = "has two different sizes";
    else if (n->size / 1040 > n->packed)        /* deflate cannot gain more than 1032 to 1 */
        why = "claims to unpack to more than its bytes can hold";
    return !why || fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' %s", path, n->name, why);
}

/* One entry of the directory; returns its length, 0 after filling *e. */
static size_t read_central(struct zip *z, const unsigned char *at, size_t left, struct error *e)
{
    struct entry *n = &z->entry[z->named];
    if (left < CENTRAL_SIZE || memcmp(at, "PK\1\2", 4))
        return damaged(z, e, "an entry of its directory is cut off or missing");
    size_t name = load_le(at + 28, 2), extra = load_le(at + 30, 2), note = load_le(at + 32, 2);
    if (left < CENTRAL_SIZE + name + extra + note)
        return damaged(z, e, "an entry of its directory is cut off");
    if (!name || name > MOST_NAME || memchr(at + CENTRAL_SIZE, 0, name))
        return damaged(z, e, "an entry has an impossible name");
    if (!(n->name = strndup((const char *)at + CENTRAL_SIZE, name)))
        return fail(e, EXIT_USAGE, "%s: out of memory", z->source->path);
    z->named++;
    if (!printable(n->name))
        return damaged(z, e, "the name of an entry is no printable UTF-8");
    n->flags = (int)load_le(at + 8, 2);
    n->method = (int)load_le(at + 10, 2);
    n->crc = (uint32_t)load_le(at + 16, 4);
    n->packed = (int64_t)load_le(at + 20, 4);
    n->size = (int64_t)load_le(at + 24, 4);
    n->header = (int64_t)load_le(at + 42, 4);
    if (!read_zip64(z, n, at + CENTRAL_SIZE + name, extra, e) || !check_entry(z, n, e))
        return 0;
    return CENTRAL_SIZE + name + extra + note;
}

static bool read_directory(struct zip *z, const struct directory *d, struct error *e)
{
    unsigned char *bytes = malloc((size_t)d->bytes + 1);
    z->entry = calloc((size_t)d->count + 1, sizeof *z->entry);
    bool ok = bytes && z->entry;
    if (!ok)
        fail(e, EXIT_USAGE, "%s: out of memory", z->source->path);
    ok = ok && source_read(z->source, d->at, d->bytes, bytes, "the zip directory", e);
    size_t at = 0, length;
    while (ok && z->named < d->count) {
        length = read_central(z, bytes + at, (size_t)d->bytes - at, e);
        at += length;
        ok = length > 0;
    }
    free(bytes);
    z->count = z->named;
    return ok;
}

/* --- the entries' own headers ----------------------------------------------------- */

/* What stands before the data must say the same as the directory. */
static bool read_local(struct zip *z, struct entry *n, struct error *e)
{
    unsigned char head[LOCAL_SIZE], name[MOST_NAME];
    if (!source_read(z->source, n->header, LOCAL_SIZE, head, "the header of a zip entry", e))
        return false;
    size_t length = load_le(head + 26, 2);
    if (memcmp(head, "PK\3\4", 4) || length != strlen(n->name)
        || !source_read(z->source, n->header + LOCAL_SIZE, (int64_t)length, name, "a name", e)
        || memcmp(name, n->name, length) || (int)load_le(head + 8, 2) != n->method)
        return fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' begins with the header of another",
                    z->source->path, n->name);
    int64_t size = (int64_t)load_le(head + 22, 4);
    bool later = load_le(head + 6, 2) & 8;              /* sizes come after the data */
    if (!later && size != UINT32_MAX && size != n->size)
        return fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' has two different sizes",
                    z->source->path, n->name);
    n->data = n->header + LOCAL_SIZE + (int64_t)length + (int64_t)load_le(head + 28, 2);
    return true;
}

static int by_header(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return ((*x)->header > (*y)->header) - ((*x)->header < (*y)->header);
}

/* Entries that share bytes multiply what a small file unpacks to. */
static bool check_overlap(struct zip *z, int64_t directory, struct error *e)
{
    struct entry **order = malloc(((size_t)z->count + 1) * sizeof *order);
    if (!order)
        return fail(e, EXIT_USAGE, "%s: out of memory", z->source->path);
    for (int i = 0; i < z->count; i++)
        order[i] = &z->entry[i];
    qsort(order, (size_t)z->count, sizeof *order, by_header);
    bool ok = true;
    for (int i = 0; ok && i < z->count; i++) {
        int64_t end = i + 1 < z->count ? order[i + 1]->header : directory;
        if (order[i]->data > end || order[i]->packed > end - order[i]->data)
            ok = fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' runs into what follows it",
                      z->source->path, order[i]->name);
    }
    free(order);
    return ok;
}

struct zip *zip_open(const struct source *s, struct error *e)
{
    struct directory d;
    struct zip *z = calloc(1, sizeof *z);
    if (!z) {
        fail(e, EXIT_USAGE, "%s: out of memory", s->path);
        return NULL;
    }
    z->source = s;
    z->current = -1;
    bool ok = find_directory(z, &d, e) && read_directory(z, &d, e);
    for (int i = 0; ok && i < z->count; i++)
        ok = read_local(z, &z->entry[i], e);
    if (ok && check_overlap(z, d.at, e))
        return z;
    zip_close(z);
    return NULL;
}

static void leave_entry(struct zip *z)
{
    if (z->current >= 0)
        inflateEnd(&z->stream);
    z->current = -1;
}

void zip_close(struct zip *z)
{
    if (!z)
        return;
    leave_entry(z);
    for (int i = 0; i < z->named; i++)
        free(z->entry[i].name);
    free(z->entry);
    free(z);
}

int zip_count(const struct zip *z)
{
    return z->count;
}

const char *zip_name(const struct zip *z, int entry)
{
    return z->entry[entry].name;
}

int64_t zip_size(const struct zip *z, int entry)
{
    return z->entry[entry].size;
}

/* --- reading an entry ------------------------------------------------------------- */

static bool enter(struct zip *z, int entry, struct error *e)
{
    leave_entry(z);
    memset(&z->stream, 0, sizeof z->stream);
    if (inflateInit2(&z->stream, -MAX_WBITS) != Z_OK)
        return fail(e, EXIT_USAGE, "%s: out of memory", z->source->path);
    z->current = entry;
    z->at = z->packed_at = 0;
    z->whole = true;
    z->crc = 0;
    return true;
}

static bool refill(struct zip *z, const struct entry *n, struct error *e)
{
    int64_t left = n->packed - z->packed_at, bytes = left < BLOCK ? left : BLOCK;
    if (!source_read(z->source, n->data + z->packed_at, bytes, z->in, n->name, e))
        return false;
    z->packed_at += bytes;
    z->stream.next_in = z->in;
    z->stream.avail_in = (unsigned)bytes;
    return true;
}

/* The next `bytes` <= 2^30 bytes. */
static bool unpack(struct zip *z, const struct entry *n, int64_t bytes, unsigned char *out,
                   struct error *e)
{
    z->stream.next_out = out;
    z->stream.avail_out = (unsigned)bytes;
    while (z->stream.avail_out > 0) {
        if (!z->stream.avail_in && !refill(z, n, e))
            return false;
        int status = inflate(&z->stream, Z_NO_FLUSH);
        if ((status == Z_OK && (z->stream.avail_in || z->packed_at < n->packed))
            || !z->stream.avail_out)
            continue;
        return fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' %s after %lld of %lld bytes",
                    z->source->path, n->name,
                    status == Z_STREAM_END || status == Z_BUF_ERROR || status == Z_OK
                        ? "ends" : "is damaged",
                    (long long)(z->at + bytes - z->stream.avail_out), (long long)n->size);
    }
    return true;
}

/* After the last byte: nothing may follow, and the checksum must be right. */
static bool finish(struct zip *z, const struct entry *n, struct error *e)
{
    unsigned char more;
    if (n->method == DEFLATED) {
        z->stream.next_out = &more;
        z->stream.avail_out = 1;
        int status;
        do {
            if (!z->stream.avail_in && !refill(z, n, e))
                return false;
            status = inflate(&z->stream, Z_NO_FLUSH);
        } while (status == Z_OK && z->stream.avail_out);
        if (status != Z_STREAM_END || !z->stream.avail_out || z->stream.avail_in
            || z->packed_at < n->packed)
            return fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' does not end after the %lld bytes "
                        "it claims to unpack to", z->source->path, n->name, (long long)n->size);
    }
    if (z->whole && z->crc != n->crc)
        return fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' is damaged: its checksum is %08x, "
                    "not %08x", z->source->path, n->name, z->crc, n->crc);
    return true;
}

static bool next_bytes(struct zip *z, const struct entry *n, int64_t bytes, unsigned char *out,
                       struct error *e)
{
    bool ok = n->method == DEFLATED
            ? unpack(z, n, bytes, out, e)
            : source_read(z->source, n->data + z->at, bytes, out, n->name, e);
    if (!ok)
        return false;
    z->crc = z->whole ? (uint32_t)crc32(z->crc, out, (unsigned)bytes) : 0;
    z->at += bytes;
    return z->at < n->size || !bytes || finish(z, n, e);
}

static bool seek(struct zip *z, int entry, int64_t at, struct error *e)
{
    const struct entry *n = &z->entry[entry];
    if ((z->current != entry || at < z->at) && !enter(z, entry, e))
        return false;
    if (n->method == STORED && z->at != at) {
        z->at = at;
        z->whole = false;
    }
    while (z->at < at) {
        int64_t bytes = at - z->at < BLOCK ? at - z->at : BLOCK;
        if (!next_bytes(z, n, bytes, z->skipped, e))
            return false;
    }
    return true;
}

bool zip_read(struct zip *z, int entry, int64_t at, int64_t bytes, void *out, struct error *e)
{
    const struct entry *n = &z->entry[entry];
    unsigned char *to = out;
    if (at < 0 || bytes < 0 || at > n->size || bytes > n->size - at)
        return fail(e, EXIT_BAD_FILE, "%s: the zip entry '%s' has %lld bytes, expected %lld at %lld",
                    z->source->path, n->name, (long long)n->size, (long long)bytes, (long long)at);
    if (!seek(z, entry, at, e))
        return false;
    for (int64_t part; bytes > 0; bytes -= part, to += part) {
        part = bytes < 1 << 30 ? bytes : 1 << 30;
        if (!next_bytes(z, n, part, to, e)) {
            leave_entry(z);
            return false;
        }
    }
    return true;
}
