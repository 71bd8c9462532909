/* A rehearsal in a child process. libhdf5 itself may crash or spin on a damaged
 * file (1.10.8 does); then the child dies, not the program. The child opens every
 * object and attribute that a reader could ask for. */
#include "child.h"
#include "h5_file.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SECONDS = 30, READ_UP_TO = 64 << 20 };

static herr_t touch_attr(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    (void)context;
    hid_t id = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = id < 0 ? -1 : H5Aget_type(id);
    if (type >= 0 && info->data_size < READ_UP_TO) {
        char *value = calloc(1, (size_t)info->data_size + 64);
        hid_t space = H5Aget_space(id);
        hssize_t count = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);
        if (value && count > 0 && (double)count * (double)H5Tget_size(type)
                                      <= (double)info->data_size + 63
            && H5Aread(id, type, value) >= 0 && H5Tdetect_class(type, H5T_STRING) > 0
            && H5Tis_variable_str(type) > 0)
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
        free(value);
    }
    return 0;
}

/* Chunked data is found through an index and unpacked by filters: read it too. */
static void touch_dataset(hid_t id)
{
    hid_t plist = H5Dget_create_plist(id), type = H5Dget_type(id), space = H5Dget_space(id);
    H5T_class_t class = H5Tget_class(type);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    if (H5Pget_layout(plist) != H5D_CHUNKED || (class != H5T_FLOAT && class != H5T_INTEGER)
        || count < 1 || count > READ_UP_TO / 8 || H5Dget_storage_size(id) == 0)
        return;
    double *values = malloc((size_t)count * sizeof *values);
    if (values)
        H5Dread(id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    free(values);
}

static herr_t touch(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    hsize_t at = 0;
    hid_t id = H5Oopen(root, name, H5P_DEFAULT);
    (void)context;
    if (id < 0)
        return 0;
    H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &at, touch_attr, NULL);
    if (info->type == H5O_TYPE_DATASET)
        touch_dataset(id);
    H5Oclose(id);
    return 0;
}

struct rehearsal {
    const char *path;
    bool listed;
};

static void rehearse(void *shared)
{
    struct rehearsal *r = shared;
    if (!freopen("/dev/null", "w", stderr))
        close(STDERR_FILENO);           /* a root without /dev */
    /* libhdf5 frees pointers it never set when a group's links cannot be decoded: with
     * memory that is not zero by luck, it fails here and not later in the parent. */
    mallopt(M_PERTURB, 0xA5);
    hid_t file = H5Fopen(r->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    r->listed = file < 0        /* h5_open() has the words for that */
             || H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, touch, NULL, H5O_INFO_BASIC) >= 0;
}

bool h5_survives(const char *path, struct error *e)
{
    const struct child_limits limits = {.cpu_seconds = MOST_SECONDS};
    char how[160] = "could not be started: out of memory";
    struct rehearsal *r = child_memory(sizeof *r);
    enum child_end end = CHILD_NOT_STARTED;
    if (r) {
        r->path = path;
        end = child_run(rehearse, r, &limits, how, sizeof how);
    }
    const bool listed = end == CHILD_DONE && r->listed;
    child_memory_free(r, sizeof *r);
    if (end == CHILD_NOT_STARTED)
        return fail(e, EXIT_USAGE, "%s: the process to try the file in %s", path, how);
    if (end == CHILD_DIED)
        return fail(e, EXIT_BAD_FILE, "%s: damaged: the HDF5 library %s", path, how);
    return listed || fail(e, EXIT_BAD_FILE, "%s: damaged: its objects cannot be listed", path);
}
