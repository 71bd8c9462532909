/* Writing tensors and attributes. */
#include "h5_file.h"

#include <stdio.h>
#include <string.h>

/* Opens a group, making it and its parents where they are missing. */
static hid_t make_group(struct h5_file *f, const char *path)
{
    if (!*path)
        return H5Gopen2(f->id, "/", H5P_DEFAULT);
    if (H5Lexists(f->id, path, H5P_DEFAULT) > 0)
        return H5Gopen2(f->id, path, H5P_DEFAULT);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t group = H5Gcreate2(f->id, path, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(links);
    return group;
}

static bool write_values(struct h5_file *f, const char *group, const char *key, int rank,
                         const int64_t *dim, hid_t stored, hid_t type, bool packed,
                         const void *data, struct error *e)
{
    hsize_t size[H5_MAX_RANK];
    for (int i = 0; i < rank && i < H5_MAX_RANK; i++)
        size[i] = (hsize_t)dim[i];
    hid_t at = rank <= H5_MAX_RANK ? make_group(f, group) : -1;
    hid_t space = at < 0 ? -1 : H5Screate_simple(rank, size, NULL);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(create, false);      /* the same bytes every time */
    if (packed && space >= 0 && H5Sget_simple_extent_npoints(space) >= 2048) {
        H5Pset_chunk(create, rank, size);           /* a chunk costs more than it saves on less */
        H5Pset_shuffle(create);
        H5Pset_deflate(create, 9);
    }
    hid_t set = space < 0 ? -1 : H5Dcreate2(at, key, stored, space, H5P_DEFAULT, create,
                                            H5P_DEFAULT);
    bool ok = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(create);
    if (space >= 0)
        H5Sclose(space);
    if (at >= 0)
        H5Gclose(at);
    return ok || fail(e, EXIT_BAD_FILE, "%s: cannot write '%s/%s'", f->path, group, key);
}

bool h5_write_f32(struct h5_file *f, const char *group, const char *key, int rank,
                  const int64_t *dim, const float *data, struct error *e)
{
    return write_values(f, group, key, rank, dim, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, false,
                        data, e);
}

/* IEEE binary16, which HDF5 has a name for only since 1.14.4. */
static hid_t half_type(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

bool h5_write_f16(struct h5_file *f, const char *group, const char *key, int rank,
                  const int64_t *dim, const float *data, struct error *e)
{
    hid_t type = half_type();
    bool ok = write_values(f, group, key, rank, dim, type, H5T_NATIVE_FLOAT, true, data, e);
    H5Tclose(type);
    return ok;
}

bool h5_write_f64(struct h5_file *f, const char *group, const char *key, int rank,
                  const int64_t *dim, const double *data, struct error *e)
{
    return write_values(f, group, key, rank, dim, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, false,
                        data, e);
}

/* object: a path; "" is the root. A group that is not there yet is made. data NULL: empty. */
static bool write_attr(struct h5_file *f, const char *object, const char *name, hid_t space,
                       hid_t stored, hid_t type, const void *data, struct error *e)
{
    const bool there = !*object || H5Lexists(f->id, object, H5P_DEFAULT) > 0;
    hid_t group = there ? -1 : make_group(f, object);
    hid_t id = H5Acreate_by_name(f->id, *object ? object : ".", name, stored, space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT);
    bool ok = id >= 0 && (!data || H5Awrite(id, type, data) >= 0);
    if (id >= 0)
        H5Aclose(id);
    if (group >= 0)
        H5Gclose(group);
    H5Sclose(space);
    return ok || fail(e, EXIT_BAD_FILE, "%s: cannot write attribute '%s'", f->path, name);
}

bool h5_write_object_int(struct h5_file *f, const char *object, const char *name, int64_t value,
                         struct error *e)
{
    return write_attr(f, object, name, H5Screate(H5S_SCALAR), H5T_STD_I64LE, H5T_NATIVE_INT64,
                      &value, e);
}

bool h5_write_object_ints(struct h5_file *f, const char *object, const char *name,
                          const int *value, int count, struct error *e)
{
    hsize_t size = (hsize_t)count;
    hid_t space = count ? H5Screate_simple(1, &size, NULL) : H5Screate(H5S_NULL);
    return write_attr(f, object, name, space, H5T_STD_I64LE, H5T_NATIVE_INT, count ? value : NULL,
                      e);
}

bool h5_write_object_double(struct h5_file *f, const char *object, const char *name, double value,
                            struct error *e)
{
    return write_attr(f, object, name, H5Screate(H5S_SCALAR), H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                      &value, e);
}

bool h5_write_object_string(struct h5_file *f, const char *object, const char *name,
                            const char *value, struct error *e)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(value) + 1);
    bool ok = write_attr(f, object, name, H5Screate(H5S_SCALAR), type, type, value, e);
    H5Tclose(type);
    return ok;
}

bool h5_write_attr_int(struct h5_file *f, const char *name, int64_t value, struct error *e)
{
    return h5_write_object_int(f, "", name, value, e);
}

bool h5_write_attr_ints(struct h5_file *f, const char *name, const int *value, int count,
                        struct error *e)
{
    return h5_write_object_ints(f, "", name, value, count, e);
}

bool h5_write_attr_double(struct h5_file *f, const char *name, double value, struct error *e)
{
    return h5_write_object_double(f, "", name, value, e);
}

bool h5_write_attr_string(struct h5_file *f, const char *name, const char *value,
                          struct error *e)
{
    return h5_write_object_string(f, "", name, value, e);
}
