/* Fashion-MNIST (arXiv 1708.07747) as it is distributed: gzipped idx files. An idx file is
 * 0, 0, type (8: unsigned bytes), rank, then the dimensions as big-endian 32-bit numbers,
 * then the values. */
#include "image_sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { MOST_BYTES = 1 << 28 };

static bool read_dims(gzFile f, int rank, int64_t *dim)
{
    unsigned char head[4], number[4];
    bool ok = gzread(f, head, 4) == 4 && !head[0] && !head[1] && head[2] == 8 && head[3] == rank;
    for (int i = 0; ok && i < rank; i++) {
        ok = gzread(f, number, 4) == 4;
        dim[i] = (int64_t)number[0] << 24 | number[1] << 16 | number[2] << 8 | number[3];
        ok = ok && dim[i] >= 1 && dim[i] <= MOST_BYTES;
    }
    return ok;
}

/* All values of a file of the given rank; the caller frees. */
static unsigned char *idx_read(const char *path, int rank, int64_t *dim, struct error *e)
{
    int64_t count = 1;
    gzFile f = gzopen(path, "rb");
    if (!f) {
        fail(e, EXIT_BAD_FILE, "%s: there is no such file", path);
        return NULL;
    }
    bool ok = read_dims(f, rank, dim);
    for (int i = 0; ok && i < rank; i++)
        ok = (count *= dim[i]) <= MOST_BYTES;
    unsigned char *out = ok ? malloc((size_t)count) : NULL, more;
    if (!ok)
        fail(e, EXIT_BAD_FILE, "%s: not an idx file of bytes in %d dimensions, of at most %d bytes",
             path, rank, MOST_BYTES);
    else if (!out)
        fail(e, EXIT_USAGE, "%s: out of memory", path);
    else if (gzread(f, out, (unsigned)count) != count || gzread(f, &more, 1) != 0)
        fail(e, EXIT_BAD_FILE, "%s: damaged, or not as long as its %lld values", path,
             (long long)count);
    else {
        gzclose(f);
        return out;
    }
    gzclose(f);
    free(out);
    return NULL;
}

static bool labels_from(struct image_set *s, const unsigned char *label, const char *path,
                        struct error *e)
{
    s->label = malloc((size_t)s->count * sizeof *s->label);
    for (int64_t i = 0; s->label && i < s->count; i++) {
        if (label[i] >= s->classes)
            return fail(e, EXIT_BAD_FILE, "%s: label %lld is %d, expected 0..%d", path, (long long)i,
                        label[i], s->classes - 1);
        s->label[i] = label[i];
    }
    return s->label || fail(e, EXIT_USAGE, "%s: out of memory", path);
}

bool fashion_mnist_read(struct image_set *s, const char *directory, bool train, struct error *e)
{
    const char *where = directory ? directory : "/usr/share/datasets/fashion-mnist";
    const char *half = train ? "train" : "t10k";
    char images[4096], labels[4096];
    int64_t dim[3], count;
    snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte.gz", where, half);
    snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte.gz", where, half);
    if (!(s->pixel = idx_read(images, 3, dim, e)))
        return false;
    if (dim[1] > MOST_SIDE || dim[2] > MOST_SIDE)
        return fail(e, EXIT_BAD_FILE, "%s: images of %lld x %lld, expected at most %d a side", images,
                    (long long)dim[1], (long long)dim[2], MOST_SIDE);
    unsigned char *label = idx_read(labels, 1, &count, e);
    *s = (struct image_set){
        .pixel = s->pixel, .count = dim[0], .channels = 1, .height = (int)dim[1],
        .width = (int)dim[2], .classes = 10, .mean = {0.2860f, 0.2860f, 0.2860f},
        .deviation = {0.3530f, 0.3530f, 0.3530f},
    };
    bool ok = label && (count == dim[0]
                        || fail(e, EXIT_BAD_FILE, "%s: has %lld labels, expected %lld", labels,
                                (long long)count, (long long)dim[0]));
    ok = ok && labels_from(s, label, labels, e);
    free(label);
    return ok;
}
