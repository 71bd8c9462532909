/* Attributes, as h5py and this project write them. */
#include "h5_file.h"

#include <stdio.h>
#include <string.h>

enum { MOST_STRING = 1 << 16 };

/* The attribute's id; -1 after filling *e. */
static hid_t open_attr(struct h5_file *f, const char *object, const char *name, struct error *e)
{
    hid_t at = h5_object(f, object, e);
    if (at < 0)
        return -1;
    hid_t id = H5Aexists(at, name) > 0 ? H5Aopen(at, name, H5P_DEFAULT) : -1;
    H5Oclose(at);
    if (id < 0)
        fail(e, EXIT_BAD_FILE, "%s: %s%s has no attribute '%s'", f->path,
             *object ? object : "the file", *object ? "" : " itself", name);
    return id;
}

bool h5_has_attr(struct h5_file *f, const char *object, const char *name)
{
    hid_t id = open_attr(f, object, name, NULL);
    if (id >= 0)
        H5Aclose(id);
    return id >= 0;
}

static H5T_class_t class_of(hid_t attr, size_t *size)
{
    hid_t type = H5Aget_type(attr);
    H5T_class_t class = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    *size = type < 0 ? 0 : H5Tget_size(type);
    if (type >= 0)
        H5Tclose(type);
    return class;
}

/* Number of elements; -1 when there is no plain extent. */
static int64_t extent_of(hid_t attr)
{
    hid_t space = H5Aget_space(attr);
    int64_t count = -1;
    if (space >= 0 && H5Sget_simple_extent_type(space) == H5S_NULL)
        count = 0;
    else if (space >= 0)
        count = H5Sget_simple_extent_npoints(space);
    if (space >= 0)
        H5Sclose(space);
    return count;
}

/* Reads exactly one number (or, with most > 1, up to `most`) as `type`. */
static bool read_numbers(struct h5_file *f, const char *object, const char *name, hid_t type,
                         void *out, int most, int *count, struct error *e)
{
    size_t size;
    hid_t id = open_attr(f, object, name, e);
    if (id < 0)
        return false;
    H5T_class_t class = class_of(id, &size);
    int64_t extent = extent_of(id);
    bool number = class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM;
    bool ok = true;
    if (extent == 0 && most > 1)
        *count = 0;                     /* h5py writes an empty list as empty floats */
    else if (!number || size > 16)
        ok = fail(e, EXIT_BAD_FILE, "%s: attribute '%s' is no number", f->path, name);
    else if (extent < 1 || extent > most)
        ok = fail(e, EXIT_BAD_FILE, "%s: attribute '%s' has %lld values, expected %s%d", f->path,
                  name, (long long)extent, most > 1 ? "at most " : "", most);
    else if (class == H5T_FLOAT && type == H5T_NATIVE_INT64)
        ok = fail(e, EXIT_BAD_FILE, "%s: attribute '%s' is no integer", f->path, name);
    else {
        int8_t flag = 0;                /* h5py's bool: an enum of one byte */
        *count = (int)extent;
        if (class == H5T_ENUM) {
            hid_t own = H5Aget_type(id);
            ok = size == 1 && extent == 1 && H5Aread(id, own, &flag) >= 0;
            H5Tclose(own);
            if (type == H5T_NATIVE_INT64)
                *(int64_t *)out = flag;
            else
                *(double *)out = flag;
        } else {
            ok = H5Aread(id, type, out) >= 0;
        }
        if (!ok)
            fail(e, EXIT_BAD_FILE, "%s: attribute '%s' cannot be read", f->path, name);
    }
    H5Aclose(id);
    return ok;
}

bool h5_attr_int(struct h5_file *f, const char *object, const char *name, int64_t *value,
                 struct error *e)
{
    int count;
    return read_numbers(f, object, name, H5T_NATIVE_INT64, value, 1, &count, e);
}

bool h5_attr_double(struct h5_file *f, const char *object, const char *name, double *value,
                    struct error *e)
{
    int count;
    return read_numbers(f, object, name, H5T_NATIVE_DOUBLE, value, 1, &count, e);
}

bool h5_attr_ints(struct h5_file *f, const char *object, const char *name, int64_t *value,
                  int most, int *count, struct error *e)
{
    return read_numbers(f, object, name, H5T_NATIVE_INT64, value, most, count, e);
}

/* A fixed-length string of `size` bytes, not always terminated. */
static bool read_fixed(hid_t attr, hid_t type, size_t size, char *out, size_t room)
{
    char *text = size <= MOST_STRING ? calloc(1, size + 1) : NULL;
    bool ok = text && H5Aread(attr, type, text) >= 0 && strlen(text) < room;
    if (ok)
        strcpy(out, text);
    free(text);
    return ok;
}

static bool read_variable(hid_t attr, hid_t type, char *out, size_t room)
{
    char *text = NULL;
    hid_t space = H5Aget_space(attr);
    bool ok = H5Aread(attr, type, &text) >= 0 && text && strlen(text) < room;
    if (ok)
        strcpy(out, text);
    if (text)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, &text);
    H5Sclose(space);
    return ok;
}

bool h5_attr_string(struct h5_file *f, const char *object, const char *name, char *value,
                    size_t size, struct error *e)
{
    size_t stored;
    hid_t id = open_attr(f, object, name, e);
    if (id < 0)
        return false;
    bool ok = class_of(id, &stored) == H5T_STRING && extent_of(id) == 1;
    if (ok) {
        hid_t type = H5Aget_type(id);
        ok = H5Tis_variable_str(type) > 0 ? read_variable(id, type, value, size)
                                          : read_fixed(id, type, stored, value, size);
        H5Tclose(type);
    }
    H5Aclose(id);
    return ok || fail(e, EXIT_BAD_FILE, "%s: attribute '%s' is no string of less than %zu bytes",
                      f->path, name, size);
}
