/* Reading tensors: every check comes before the allocation it protects. */
#include "h5_file.h"

#include <stdio.h>
#include <string.h>

/* Writes group/key, or with nested group/k/e/y, to `path`. */
static bool join(char *path, const char *group, const char *key, bool nested)
{
    const char *slash = *group ? "/" : "";
    size_t length = (size_t)snprintf(path, H5_PATH, "%s%s%s", group, slash, key);
    if (length >= H5_PATH)
        return false;
    for (char *c = path + strlen(group) + strlen(slash); nested && *c; c++)
        *c = *c == '.' ? '/' : *c;
    return true;
}

/* The dataset under either spelling of its key; -1 after filling *e. */
static hid_t find_dataset(struct h5_file *f, const char *group, const char *key, struct error *e)
{
    char flat[H5_PATH], nested[H5_PATH];
    struct error flat_error = {0};
    if (!join(flat, group, key, false) || !join(nested, group, key, true)) {
        fail(e, EXIT_BAD_FILE, "%s: the key '%.60s...' is too long", f->path, key);
        return -1;
    }
    hid_t id = h5_object(f, flat, &flat_error);
    if (id < 0 && strcmp(flat, nested))
        id = h5_object(f, nested, NULL);
    if (id < 0) {
        fail(e, EXIT_BAD_FILE, "%s", flat_error.text);
        return -1;
    }
    if (H5Iget_type(id) == H5I_DATASET)
        return id;
    H5Oclose(id);
    fail(e, EXIT_BAD_FILE, "%s: '%s' is a group, expected a dataset", f->path, flat);
    return -1;
}

bool h5_has(struct h5_file *f, const char *group, const char *key)
{
    hid_t id = find_dataset(f, group, key, NULL);
    if (id >= 0)
        H5Oclose(id);
    return id >= 0;
}

/* `streamed`, here and below: see h5_open_dataset(). */
static bool check_type(struct h5_file *f, hid_t dataset, const char *key, bool streamed,
                       size_t *size, struct error *e)
{
    hid_t type = H5Dget_type(dataset);
    H5T_class_t class = H5Tget_class(type);
    *size = H5Tget_size(type);
    if (type >= 0)
        H5Tclose(type);
    if ((class == H5T_FLOAT || class == H5T_INTEGER) && *size >= 1 && *size <= 16)
        return true;
    if (streamed && class == H5T_ENUM && *size == 1)
        return true;
    return fail(e, EXIT_BAD_FILE, "%s: '%s' holds no plain numbers (HDF5 type class %d)", f->path,
                key, (int)class);
}

static bool check_dims(struct h5_file *f, hid_t dataset, const char *key, bool streamed,
                       struct h5_info *info, struct error *e)
{
    hsize_t dim[H5_MAX_RANK] = {0};
    int64_t most = streamed ? (int64_t)1 << 57 : h5_limit();
    hid_t space = H5Dget_space(dataset);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    bool fits = rank >= 0 && rank <= H5_MAX_RANK;
    H5S_class_t class = space < 0 ? H5S_NO_CLASS : H5Sget_simple_extent_type(space);
    if (fits)
        H5Sget_simple_extent_dims(space, dim, NULL);
    if (space >= 0)
        H5Sclose(space);
    if (!fits || (class != H5S_SIMPLE && class != H5S_SCALAR))
        return fail(e, EXIT_BAD_FILE, "%s: '%s' has %d dimensions, at most %d are read", f->path,
                    key, rank, H5_MAX_RANK);
    *info = (struct h5_info){.rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        if ((dim[i] < 1 && !streamed) || dim[i] > (hsize_t)(most / (info->count ? info->count : 1)))
            return fail(e, EXIT_BAD_FILE, "%s: '%s' has dimension %d = %llu, %s", f->path, key, i,
                        (unsigned long long)dim[i], dim[i] ? "too large to read" : "it is empty");
        info->dim[i] = (int64_t)dim[i];
        info->count *= (int64_t)dim[i];
    }
    return true;
}

static bool check_filters(struct h5_file *f, hid_t plist, const char *key, bool *filtered,
                          struct error *e)
{
    int filters = H5Pget_nfilters(plist);
    *filtered = filters > 0;
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t id = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, 0, NULL,
                                         &config);
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32)
            return fail(e, EXIT_BAD_FILE, "%s: '%s' is compressed by filter %d; only deflate is "
                        "read", f->path, key, (int)id);
    }
    return true;
}

/* Chunks are read whole, so a small dataset in a huge chunk is an attack too. */
static bool check_chunk(struct h5_file *f, hid_t plist, const char *key, const struct h5_info *info,
                        size_t size, struct error *e)
{
    hsize_t chunk[H5_MAX_RANK];
    double bytes = (double)size, most = 64e6 + 8 * (double)info->count * (double)size;
    int rank = H5Pget_chunk(plist, H5_MAX_RANK, chunk);
    for (int i = 0; i < rank && i < H5_MAX_RANK; i++)
        bytes *= (double)chunk[i];
    if (rank >= 0 && rank <= H5_MAX_RANK && bytes <= most)
        return true;
    return fail(e, EXIT_BAD_FILE, "%s: '%s' is stored in chunks of %.3g bytes", f->path, key, bytes);
}

/* The claimed size must be backed by stored bytes: deflate gains at most ~1030x. */
static bool check_storage(struct h5_file *f, hid_t dataset, const char *key,
                          bool streamed, const struct h5_info *info, size_t size, struct error *e)
{
    hid_t plist = H5Dget_create_plist(dataset);
    H5D_layout_t layout = plist < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(plist);
    bool filtered = false, ok = layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED
                             || layout == H5D_COMPACT;
    if (!ok)
        fail(e, EXIT_BAD_FILE, "%s: '%s' is %s dataset, which is refused", f->path, key,
             layout == H5D_VIRTUAL ? "a virtual" : "an unknown kind of");
    if (ok && H5Pget_external_count(plist) != 0)
        ok = fail(e, EXIT_BAD_FILE, "%s: '%s' is stored in another file, which is refused", f->path,
                  key);
    ok = ok && check_filters(f, plist, key, &filtered, e)
      && (layout != H5D_CHUNKED || check_chunk(f, plist, key, info, size, e));
    if (plist >= 0)
        H5Pclose(plist);
    double want = (double)info->count * (double)size, have = (double)H5Dget_storage_size(dataset);
    if (ok && have < want / (filtered ? 1100 : 1))
        ok = fail(e, EXIT_BAD_FILE, "%s: '%s' claims %.0f bytes and stores %.0f", f->path, key, want,
                  have);
    if (ok && !streamed && info->count > h5_limit() / (int64_t)sizeof(double))
        ok = fail(e, EXIT_BAD_FILE, "%s: '%s' has %lld values, more than the limit of %lld bytes",
                  f->path, key, (long long)info->count, (long long)h5_limit());
    return ok;
}

/* The dataset itself, or -1 after closing it and filling *e. */
static hid_t checked(struct h5_file *f, hid_t id, const char *key, bool streamed,
                     struct h5_info *info, struct error *e)
{
    size_t size;
    if (check_type(f, id, key, streamed, &size, e) && check_dims(f, id, key, streamed, info, e)
        && check_storage(f, id, key, streamed, info, size, e))
        return id;
    H5Oclose(id);
    return -1;
}

static hid_t open_checked(struct h5_file *f, const char *group, const char *key,
                          struct h5_info *info, struct error *e)
{
    hid_t id = find_dataset(f, group, key, e);
    return id < 0 ? -1 : checked(f, id, key, false, info, e);
}

hid_t h5_open_dataset(struct h5_file *f, const char *path, struct h5_info *info, struct error *e)
{
    hid_t id = h5_object(f, path, e);
    if (id < 0)
        return -1;
    if (H5Iget_type(id) == H5I_DATASET)
        return checked(f, id, path, true, info, e);
    H5Oclose(id);
    fail(e, EXIT_BAD_FILE, "%s: '%s' is a group, expected a dataset", f->path, path);
    return -1;
}

bool h5_describe(struct h5_file *f, const char *group, const char *key, struct h5_info *info,
                 struct error *e)
{
    hid_t id = open_checked(f, group, key, info, e);
    if (id >= 0)
        H5Oclose(id);
    return id >= 0;
}

static bool read_values(struct h5_file *f, hid_t id, const char *key, hid_t type, void *out,
                        struct error *e)
{
    bool ok = H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
    H5Oclose(id);
    return ok || fail(e, EXIT_BAD_FILE, "%s: the values of '%s' cannot be read", f->path, key);
}

static void *read_all(struct h5_file *f, const char *group, const char *key, hid_t type,
                      size_t size, struct h5_info *info, struct error *e)
{
    hid_t id = open_checked(f, group, key, info, e);
    if (id < 0)
        return NULL;
    void *out = malloc((size_t)info->count * size);
    if (!out) {
        H5Oclose(id);
        fail(e, EXIT_BAD_FILE, "%s: no memory for the %lld values of '%s'", f->path,
             (long long)info->count, key);
        return NULL;
    }
    if (read_values(f, id, key, type, out, e))
        return out;
    free(out);
    return NULL;
}

float *h5_read_f32(struct h5_file *f, const char *group, const char *key, struct h5_info *info,
                   struct error *e)
{
    return read_all(f, group, key, H5T_NATIVE_FLOAT, sizeof(float), info, e);
}

double *h5_read_f64(struct h5_file *f, const char *group, const char *key, struct h5_info *info,
                    struct error *e)
{
    return read_all(f, group, key, H5T_NATIVE_DOUBLE, sizeof(double), info, e);
}

bool h5_read_f32_into(struct h5_file *f, const char *group, const char *key, int64_t count,
                      float *out, struct error *e)
{
    struct h5_info info;
    hid_t id = open_checked(f, group, key, &info, e);
    if (id < 0)
        return false;
    if (info.count == count)
        return read_values(f, id, key, H5T_NATIVE_FLOAT, out, e);
    H5Oclose(id);
    return fail(e, EXIT_BAD_FILE, "%s: '%s' has %lld values, expected %lld", f->path, key,
                (long long)info.count, (long long)count);
}
