/* Opening, closing, and finding objects safely. */
#include "h5_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int64_t byte_limit = (int64_t)16 << 30;
static bool rehearsal = true;

void h5_set_limit(int64_t bytes)
{
    byte_limit = bytes;
}

void h5_set_rehearsal(bool on)
{
    rehearsal = on;
}

int64_t h5_limit(void)
{
    return byte_limit;
}

void h5_prepare(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

static struct h5_file *new_file(const char *path, struct error *e)
{
    struct h5_file *f = calloc(1, sizeof *f);
    h5_prepare();
    if (!f) {
        fail(e, EXIT_USAGE, "%s: out of memory", path);
        return NULL;
    }
    if (snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path - 8) {
        fail(e, EXIT_BAD_FILE, "the path is longer than %zu characters", sizeof f->path - 8);
        free(f);
        return NULL;
    }
    return f;
}

struct h5_file *h5_open(const char *path, struct error *e)
{
    struct stat s;
    const bool there = stat(path, &s) == 0;
    if (!there || !S_ISREG(s.st_mode)) {
        fail(e, EXIT_BAD_FILE, "%s: %s", path, there ? "not a regular file"
                                                     : "there is no such file");
        return NULL;
    }
    struct h5_file *f = !rehearsal || h5_survives(path, e) ? new_file(path, e) : NULL;
    if (!f)
        return NULL;
    /* H5F_CLOSE_STRONG: whatever a failed read left open goes with the file. */
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    f->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (f->id >= 0)
        return f;
    fail(e, EXIT_BAD_FILE, "%s: not an HDF5 file, or damaged (%lld bytes)", path,
         (long long)s.st_size);
    free(f);
    return NULL;
}

struct h5_file *h5_create(const char *path, struct error *e)
{
    char part[4104];
    struct h5_file *f = new_file(path, e);
    if (!f)
        return NULL;
    snprintf(part, sizeof part, "%s.part", path);
    f->writing = true;
    f->id = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (f->id >= 0)
        return f;
    fail(e, EXIT_BAD_FILE, "%s: cannot be created", path);
    free(f);
    return NULL;
}

bool h5_close(struct h5_file *f, struct error *e)
{
    char part[4104];
    if (!f)
        return true;
    bool ok = H5Fclose(f->id) >= 0;
    if (f->writing) {
        snprintf(part, sizeof part, "%s.part", f->path);
        ok = ok && rename(part, f->path) == 0;
        if (!ok) {
            remove(part);
            fail(e, EXIT_BAD_FILE, "%s: could not be written completely", f->path);
        }
    }
    free(f);
    return ok;
}

/* One link of a path. Anything but a hard link could lead out of the file. */
static bool check_link(struct h5_file *f, hid_t at, const char *name, const char *path,
                       struct error *e)
{
    H5L_info_t link;
    if (H5Lexists(at, name, H5P_DEFAULT) <= 0)
        return fail(e, EXIT_BAD_FILE, "%s: '%s' is not in it", f->path, path);
    if (H5Lget_info(at, name, &link, H5P_DEFAULT) < 0)
        return fail(e, EXIT_BAD_FILE, "%s: the link '%s' cannot be read", f->path, path);
    if (link.type != H5L_TYPE_HARD)
        return fail(e, EXIT_BAD_FILE, "%s: '%s' is %s link, which is refused", f->path, path,
                    link.type == H5L_TYPE_EXTERNAL ? "an external" : "a soft");
    return true;
}

hid_t h5_object(struct h5_file *f, const char *path, struct error *e)
{
    char copy[H5_PATH], *rest = copy, *name;
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        fail(e, EXIT_BAD_FILE, "%s: an object path is too long", f->path);
        return -1;
    }
    hid_t at = H5Oopen(f->id, "/", H5P_DEFAULT);
    while (at >= 0 && (name = strsep(&rest, "/"))) {
        if (!*name)
            continue;
        bool is_group = H5Iget_type(at) == H5I_GROUP;
        if (!is_group)
            fail(e, EXIT_BAD_FILE, "%s: '%s' is not in it", f->path, path);
        hid_t next = is_group && check_link(f, at, name, path, e)
                   ? H5Oopen(at, name, H5P_DEFAULT) : -1;
        H5Oclose(at);
        at = next;
    }
    if (at < 0)
        fail(e, EXIT_BAD_FILE, "%s: '%s' cannot be opened", f->path, path);
    return at;
}
