/* HDF5 in and out, for tensors named by dotted PyTorch keys (docs/formats.md).
 *
 * Files from outside are hostile: nothing is allocated before its size has been
 * checked; external links and storage, virtual datasets, soft links, foreign
 * filters and plugins are refused. Every failure is EXIT_BAD_FILE and one sentence
 * naming the file and the object.
 *
 * An object is addressed by a group path ("", "float64", "case/in") and a key. The
 * key "a.b.c" finds the dataset named `a.b.c` of that group, or else the nested
 * a/b/c. For attributes the object is one path: "" is the root group. */
#ifndef DATASETS_H5_H
#define DATASETS_H5_H

#include "ref/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { H5_MAX_RANK = 8 };

struct h5_info {
    int rank;
    int64_t dim[H5_MAX_RANK], count;    /* count: product of the dimensions, >= 1 */
};

struct h5_file;

/* No dataset may be larger than this; 16 GiB unless set. */
void h5_set_limit(int64_t bytes);
/* Every file is first tried in a child process; not needed where a crash does no harm, see
 * sandbox.h. */
void h5_set_rehearsal(bool on);

struct h5_file *h5_open(const char *path, struct error *e);
/* Writes to "<path>.part", which h5_close() renames: an interrupted run leaves no
 * half file behind under the real name. */
struct h5_file *h5_create(const char *path, struct error *e);
bool h5_close(struct h5_file *f, struct error *e);      /* NULL is fine */

bool h5_has(struct h5_file *f, const char *group, const char *key);
bool h5_describe(struct h5_file *f, const char *group, const char *key, struct h5_info *info,
                 struct error *e);
/* All values as float or double, whatever number type is stored; the caller frees. */
float *h5_read_f32(struct h5_file *f, const char *group, const char *key, struct h5_info *info,
                   struct error *e);
double *h5_read_f64(struct h5_file *f, const char *group, const char *key, struct h5_info *info,
                    struct error *e);
/* The same into memory for exactly `count` values. */
bool h5_read_f32_into(struct h5_file *f, const char *group, const char *key, int64_t count,
                      float *out, struct error *e);

bool h5_has_attr(struct h5_file *f, const char *object, const char *name);
bool h5_attr_int(struct h5_file *f, const char *object, const char *name, int64_t *value,
                 struct error *e);
bool h5_attr_double(struct h5_file *f, const char *object, const char *name, double *value,
                    struct error *e);
/* Truncation is an error. */
bool h5_attr_string(struct h5_file *f, const char *object, const char *name, char *value,
                    size_t size, struct error *e);
/* At most `most` integers; *count is how many there are (0 for an empty list). */
bool h5_attr_ints(struct h5_file *f, const char *object, const char *name, int64_t *value,
                  int most, int *count, struct error *e);

/* Direct children in name order, or every dataset below the group with nested names
 * joined by dots. A visitor that returns false stops the walk, which then is false. */
bool h5_each(struct h5_file *f, const char *group,
             bool (*visit)(void *context, const char *name, bool is_group), void *context,
             struct error *e);
bool h5_each_key(struct h5_file *f, const char *group,
                 bool (*visit)(void *context, const char *key), void *context, struct error *e);

bool h5_write_f32(struct h5_file *f, const char *group, const char *key, int rank,
                  const int64_t *dim, const float *data, struct error *e);
/* As float16, rounded to nearest, deflated. */
bool h5_write_f16(struct h5_file *f, const char *group, const char *key, int rank,
                  const int64_t *dim, const float *data, struct error *e);
bool h5_write_f64(struct h5_file *f, const char *group, const char *key, int rank,
                  const int64_t *dim, const double *data, struct error *e);
bool h5_write_attr_int(struct h5_file *f, const char *name, int64_t value, struct error *e);
bool h5_write_attr_ints(struct h5_file *f, const char *name, const int *value, int count,
                        struct error *e);
bool h5_write_attr_double(struct h5_file *f, const char *name, double value, struct error *e);
bool h5_write_attr_string(struct h5_file *f, const char *name, const char *value,
                          struct error *e);

/* The same for an object: a dataset, or a group, which is made when missing. */
bool h5_write_object_int(struct h5_file *f, const char *object, const char *name, int64_t value,
                         struct error *e);
bool h5_write_object_ints(struct h5_file *f, const char *object, const char *name,
                          const int *value, int count, struct error *e);
bool h5_write_object_double(struct h5_file *f, const char *object, const char *name, double value,
                            struct error *e);
bool h5_write_object_string(struct h5_file *f, const char *object, const char *name,
                            const char *value, struct error *e);

#endif
