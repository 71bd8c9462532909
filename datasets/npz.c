/* npz: a zip archive of npy files, as numpy.savez and savez_compressed write it. */
#include "tensors_internal.h"
#include "zip.h"

#include <string.h>

struct place_in_zip { struct zip *zip; int entry; };

static bool entry_bytes(void *context, int64_t at, int64_t bytes, void *out, struct error *e)
{
    struct place_in_zip *p = context;
    return zip_read(p->zip, p->entry, at, bytes, out, e);
}

/* "a/b.npy" to "a/b". A name that leads out of a directory is nobody's tensor. */
static bool name_of(const struct tensor_file *f, int entry, char *name, struct error *e)
{
    const char *full = zip_name(f->zip, entry);
    size_t length = strlen(full);
    if (length < 5 || strcmp(full + length - 4, ".npy"))
        return fail(e, EXIT_BAD_FILE, "%s: the zip archive holds '%.200s', which is no npy file",
                    f->source.path, full);
    if (length - 4 >= TENSOR_NAME_SIZE)
        return fail(e, EXIT_BAD_FILE, "%s: the name '%.40s...' is longer than %d bytes",
                    f->source.path, full, TENSOR_NAME_SIZE - 1);
    if (full[0] == '/' || strchr(full, '\\') || !strncmp(full, "../", 3) || strstr(full, "/../")
        || strstr(full, "//"))
        return fail(e, EXIT_BAD_FILE, "%s: the zip archive holds '%s', a path that leads elsewhere",
                    f->source.path, full);
    memcpy(name, full, length - 4);
    name[length - 4] = 0;
    return true;
}

static bool open_npz(struct tensor_file *f, struct error *e)
{
    f->zip = zip_open(&f->source, e);
    for (int i = 0; f->zip && i < zip_count(f->zip); i++) {
        struct place_in_zip p = {f->zip, i};
        char name[TENSOR_NAME_SIZE];
        struct npy n;
        if (!name_of(f, i, name, e)
            || !npy_header(f->source.path, name, zip_size(f->zip, i), entry_bytes, &p, &n, e))
            return false;
        n.place.entry = i;
        if (!tensors_add(f, name, n.type, n.rank, n.dim, &n.place, e))
            return false;
    }
    return f->zip != NULL;
}

static bool read_npz(struct tensor_file *f, int index, int64_t first, int64_t count, void *raw,
                     struct error *e)
{
    struct place_in_zip p = {f->zip, f->place[index].entry};
    return npy_values(f, index, first, count, entry_bytes, &p, raw, e);
}

static void close_npz(struct tensor_file *f)
{
    zip_close(f->zip);
}

const struct tensor_format format_npz = {"npz", open_npz, read_npz, close_npz};
