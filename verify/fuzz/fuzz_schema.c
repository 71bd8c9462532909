/* Fuzz target: the schema above HDF5. The bytes are not a file but edits of a good weight
 * file, made through libhdf5 in memory: whatever they do, HDF5 itself is sound and what the
 * readers are asked to believe is not. */
#include "fuzz.h"

#include "datasets/h5.h"
#include "datasets/tensors.h"
#include "datasets/weights_file.h"
#include "ref/weights.h"

#include <hdf5.h>
#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the fuzzer's bytes as choices ------------------------------------------------- */

struct choices { const uint8_t *at, *end; };

static unsigned next(struct choices *c)
{
    return c->at < c->end ? *c->at++ : 0;
}

static const char *pick(struct choices *c, const char *const *list, size_t count)
{
    return list[next(c) % count];
}

static int64_t number(struct choices *c)
{
    static const int64_t odd[] = {0, 1, -1, 2, 3, 4, 7, 16, 17, 31, 1 << 20, 1 << 24, INT32_MAX,
                                  (int64_t)1 << 32, (int64_t)1 << 40, INT64_MAX, INT64_MIN};
    return odd[next(c) % (sizeof odd / sizeof *odd)];
}

static const char *const attributes[] = {
    "format", "version", "config.channels", "config.depths", "config.groups", "config.mlp_ratio",
    "config.kernel_size", "config.dw_kernel_size", "config.offset_scale", "config.layer_scale",
    "config.post_norm", "config.res_post_norm", "config.level2_post_norm",
    "config.center_feature_scale", "config.remove_center", "config.clip_projector",
    "config.clip_dim", "config.clip_heads", "config.clip_out", "config.num_classes", "other",
};
static const char *const objects[] = {
    "head.weight", "head.bias", "patch_embed.conv1.weight", "levels.0.norm.0.weight",
    "levels.3.blocks.0.dcn.offset.bias", "new", "a/b/c", "a.b.c", "levels/0/norm/0/weight", "a",
};
#define PICK(c, list) pick(c, list, sizeof list / sizeof *list)

/* --- edits ------------------------------------------------------------------------- */

static void put_attr(hid_t file, struct choices *c, hid_t type, hid_t space, const void *value)
{
    const char *name = PICK(c, attributes);
    if (H5Aexists(file, name) > 0)
        H5Adelete(file, name);
    hid_t id = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (id >= 0) {
        H5Awrite(id, type, value);
        H5Aclose(id);
    }
    H5Sclose(space);
}

static void edit_attr(hid_t file, struct choices *c)
{
    int64_t whole[40];
    double real[] = {(double)number(c), 0.5, 1e300};
    char text[300] = "internimage-weights";
    hsize_t count = next(c) % 40;
    hid_t type = H5Tcopy(H5T_C_S1);
    for (int i = 0; i < 40; i++)
        whole[i] = number(c);
    switch (next(c) % 6) {
    case 0: put_attr(file, c, H5T_NATIVE_INT64, H5Screate(H5S_SCALAR), whole); break;
    case 1: put_attr(file, c, H5T_NATIVE_DOUBLE, H5Screate(H5S_SCALAR), real); break;
    case 2: put_attr(file, c, H5T_NATIVE_INT64, H5Screate_simple(1, &count, NULL), whole); break;
    case 3:
        for (unsigned i = 0; i < sizeof text - 1 && next(c) % 32; i++)
            text[i] = (char)next(c);
        H5Tset_size(type, 1 + next(c));
        put_attr(file, c, type, H5Screate(H5S_SCALAR), text);
        break;
    case 4:
        H5Tset_size(type, H5T_VARIABLE);
        put_attr(file, c, type, H5Screate(H5S_SCALAR), &(const char *){text});
        break;
    case 5: H5Adelete(file, PICK(c, attributes)); break;
    }
    H5Tclose(type);
}

static hid_t any_type(struct choices *c)
{
    static const int is_false = 0, is_true = 1;
    hid_t type, parts[] = {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_I8LE, H5T_STD_U64BE,
                           H5T_STD_U16LE, H5T_NATIVE_LDOUBLE, H5T_UNIX_D32LE, H5T_STD_B16LE};
    switch (next(c) % 8) {
    case 0:                             /* floats of any layout */
        type = H5Tcopy(H5T_IEEE_F32LE);
        H5Tset_fields(type, next(c) % 32, next(c) % 32, next(c) % 32, next(c) % 8, next(c) % 32);
        H5Tset_precision(type, 1 + next(c) % 32);
        H5Tset_size(type, 1 + next(c) % 17);
        H5Tset_ebias(type, next(c));
        return type;
    case 1:
        type = H5Tcopy(H5T_STD_I32LE);
        H5Tset_precision(type, 1 + next(c) % 32);
        H5Tset_offset(type, next(c) % 16);
        return type;
    case 2:
        type = H5Tenum_create(next(c) & 1 ? H5T_NATIVE_INT8 : H5T_NATIVE_INT);
        H5Tenum_insert(type, "FALSE", &is_false);
        if (next(c) & 1)
            H5Tenum_insert(type, "TRUE", &is_true);
        return type;
    case 3: return H5Tvlen_create(H5T_NATIVE_FLOAT);
    case 4: return H5Tarray_create2(H5T_NATIVE_FLOAT, 1, (hsize_t[]){1 + next(c)});
    case 5:
        type = H5Tcreate(H5T_COMPOUND, 16);
        H5Tinsert(type, "x", next(c) % 16, H5T_NATIVE_INT8);
        return type;
    default: return H5Tcopy(parts[next(c) % (sizeof parts / sizeof *parts)]);
    }
}

static hid_t any_layout(struct choices *c, int rank)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[H5S_MAX_RANK];
    for (int i = 0; i < rank; i++)
        chunk[i] = (hsize_t)number(c);
    switch (next(c) % 8) {
    case 0: H5Pset_layout(plist, H5D_COMPACT); break;
    case 1: H5Pset_external(plist, "/dev/null", 0, 4096); break;
    case 2: case 3: case 4: H5Pset_chunk(plist, rank, chunk); break;
    }
    switch (next(c) % 8) {
    case 0: H5Pset_deflate(plist, 1); break;
    case 1: H5Pset_shuffle(plist); H5Pset_deflate(plist, 9); break;
    case 2: H5Pset_nbit(plist); break;
    case 3: H5Pset_scaleoffset(plist, H5Z_SO_INT, 0); break;
    case 4: H5Pset_fletcher32(plist); break;
    }
    return plist;
}

static void edit_dataset(hid_t file, struct choices *c)
{
    const char *name = PICK(c, objects);
    int rank = (int)(next(c) % 12);
    hsize_t dim[12], count = 1;
    for (int i = 0; i < rank; i++) {
        dim[i] = (hsize_t)number(c);
        count = dim[i] && count >= 1024 / dim[i] ? 1024 : count * dim[i];   /* or more */
    }
    hid_t type = any_type(c), plist = any_layout(c, rank), links = H5Pcreate(H5P_LINK_CREATE);
    hid_t space = rank < 11 ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_NULL);
    H5Pset_create_intermediate_group(links, 1);
    if (H5Lexists(file, name, H5P_DEFAULT) > 0)
        H5Ldelete(file, name, H5P_DEFAULT);
    hid_t set = H5Dcreate2(file, name, type, space, links, plist, H5P_DEFAULT);
    static char values[1 << 16];
    if (set >= 0 && next(c) % 2 && H5Tget_class(type) != H5T_VLEN && count < 1024
        && count * H5Tget_size(type) <= sizeof values)
        H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    H5Pclose(links);
    H5Pclose(plist);
    H5Tclose(type);
}

static void edit_link(hid_t file, struct choices *c)
{
    const char *name = PICK(c, objects), *other = PICK(c, objects);
    unsigned kind = next(c) % 7;
    if (kind != 5 && H5Lexists(file, name, H5P_DEFAULT) > 0)
        H5Ldelete(file, name, H5P_DEFAULT);
    switch (kind) {
    case 0: H5Lcreate_soft(other, file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 1: H5Lcreate_external("/dev/null", "x", file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 2: H5Lcreate_hard(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 3: H5Lcreate_hard(file, "/", file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 4: H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)); break;
    case 5: H5Lmove(file, name, file, other, H5P_DEFAULT, H5P_DEFAULT); break;
    }
}

/* --- the good file ----------------------------------------------------------------- */

/* As small as an InternImage can be. */
static void *good_image(size_t *size)
{
    struct internimage_config c = {
        .name = "tiny", .channels = 4, .depths = {1, 1, 1, 1}, .groups = {1, 1, 1, 1},
        .mlp_ratio = 1, .kernel_size = 3, .offset_scale = 1, .num_classes = 2,
    };
    struct error e = {0};
    char path[] = "/tmp/internimage-fuzz-XXXXXX";
    int fd = mkstemp(path);
    struct graph *g = internimage_graph(&c, 1, 32, 32, &e);
    float **values = g ? weights_new(g, &e) : NULL;
    for (int i = 0; values && i < g->params; i++)
        seeded_parameter(&g->param[i], 1, values[i]);
    if (fd < 0 || !values || !weights_write(path, &c, g, values, &e)) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    *size = (size_t)H5Fget_file_image(file, NULL, 0);
    void *image = malloc(*size);
    H5Fget_file_image(file, image, *size);
    H5Fclose(file);
    remove(path);
    close(fd);
    weights_free(g, values);
    graph_free(g);
    return image;
}

/* --- the readers ------------------------------------------------------------------- */

static void read_weights(const char *path)
{
    struct internimage_config c;
    struct error e = {0};
    if (!weights_config(path, &c, &e)) {
        fuzz_refused(&e, path);
        return;
    }
    struct graph *g = internimage_graph(&c, 1, 32, 32, &e);
    if (g && graph_parameters(g) < 1 << 22) {
        float **values = weights_new(g, &e);
        if (values && !weights_read(path, g, values, &e))
            fuzz_refused(&e, path);
        weights_free(g, values);
    }
    graph_free(g);
}

static void read_tensors(const char *path)
{
    double x[64];
    struct error e = {0};
    struct tensor_file *f = tensors_open(path, &e);
    if (!f)
        fuzz_refused(&e, path);
    for (int i = 0; f && i < tensors_count(f); i++) {
        struct error why = {0};
        int64_t count = tensors_info(f, i)->count, n = count < 64 ? count : 64;
        if (!tensors_read_f64(f, i, (count - n) / 2, n, x, &why))
            fuzz_refused(&why, path);
    }
    tensors_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void *good;
    static size_t good_size;
    struct choices c = {data, data + size};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (!good) {
        good = good_image(&good_size);
        h5_set_rehearsal(false);
    }
    hid_t file = H5LTopen_file_image(good, good_size, H5LT_FILE_IMAGE_OPEN_RW);
    if (file < 0)
        abort();
    for (int edits = 0; c.at < c.end && edits < 20; edits++)
        switch (next(&c) % 4) {
        case 0: case 1: edit_attr(file, &c); break;
        case 2: edit_dataset(file, &c); break;
        case 3: edit_link(file, &c); break;
        }
    ssize_t bytes = H5Fget_file_image(file, NULL, 0);
    void *image = bytes > 0 ? malloc((size_t)bytes) : NULL;
    bool ok = image && H5Fget_file_image(file, image, (size_t)bytes) == bytes;
    H5Fclose(file);
    if (ok) {
        const char *path = fuzz_path(image, (size_t)bytes);
        read_weights(path);
        read_tensors(path);
    }
    free(image);
    return 0;
}
