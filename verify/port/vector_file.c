#include "vector_file.h"

#include "ref/weights.h"
#include "verify/metrics.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLES = 64 };

bool vector_file_open(struct vector_file *f, struct json *manifest, const char *folder,
                      const char *name, const char *kind, struct error *e)
{
    char path[4096];
    *f = (struct vector_file){.manifest = manifest, .group = ""};
    snprintf(path, sizeof path, "%s/%s.h5", folder, name);
    f->h5 = h5_create(path, e);
    snprintf(path, sizeof path, "%s/%s.npz", folder, name);
    f->npz = f->h5 ? npz_create(path, e) : NULL;
    json_open(manifest, NULL, '{');
    json_string(manifest, "file", name);
    json_string(manifest, "kind", kind);
    if (f->npz && h5_write_attr_string(f->h5, "format", "internimage-golden", e)
        && h5_write_attr_int(f->h5, "version", 1, e)
        && h5_write_attr_string(f->h5, "kind", kind, e))
        return true;
    vector_file_close(f, NULL);
    return false;
}

bool vector_file_close(struct vector_file *f, struct error *e)
{
    const bool first = h5_close(f->h5, e), second = npz_close(f->npz, e);
    json_close(f->manifest, '}');
    return first && second;
}

/* --- a case --------------------------------------------------------------------------- */

bool vector_case_begin(struct vector_file *f, const char *group, const char *op, struct error *e)
{
    f->group = group;
    json_open(f->manifest, NULL, '{');
    json_string(f->manifest, "case", group);
    json_string(f->manifest, "op", op);
    json_open(f->manifest, "attributes", '{');
    return h5_write_object_string(f->h5, group, "op", op, e);
}

void vector_case_tensors(struct vector_file *f)
{
    json_close(f->manifest, '}');
    json_open(f->manifest, "tensors", '[');
}

void vector_case_end(struct vector_file *f)
{
    json_close(f->manifest, ']');
    json_close(f->manifest, '}');
    f->group = "";
}

/* --- attributes ------------------------------------------------------------------------ */

/* "<case>/<part>/<key>" without empty pieces. */
static const char *join(char *to, size_t size, const char *a, const char *b, const char *c)
{
    snprintf(to, size, "%s%s%s%s%s", a, *a && (*b || *c) ? "/" : "", b, *b && *c ? "/" : "", c);
    return to;
}

static bool npz_numbers(struct vector_file *f, const char *name, const double *value, int count,
                        struct error *e)
{
    char path[600];
    const int64_t dim = count;
    return npz_write_f64(f->npz, join(path, sizeof path, f->group, "attr", name), 1, &dim, value,
                         e);
}

bool vector_attr_ints(struct vector_file *f, const char *name, const int *value, int count,
                      struct error *e)
{
    double numbers[32];
    json_open(f->manifest, name, '[');
    for (int i = 0; i < count && i < 32; i++) {
        numbers[i] = value[i];
        json_int(f->manifest, NULL, value[i]);
    }
    json_close(f->manifest, ']');
    return h5_write_object_ints(f->h5, f->group, name, value, count, e)
        && npz_numbers(f, name, numbers, count, e);
}

bool vector_attr_int(struct vector_file *f, const char *name, int value, struct error *e)
{
    const double number = value;
    json_int(f->manifest, name, value);
    return h5_write_object_int(f->h5, f->group, name, value, e)
        && npz_numbers(f, name, &number, 1, e);
}

bool vector_attr_double(struct vector_file *f, const char *name, double value, struct error *e)
{
    json_number(f->manifest, name, value);
    return h5_write_object_double(f->h5, f->group, name, value, e)
        && npz_numbers(f, name, &value, 1, e);
}

/* --- tensors ----------------------------------------------------------------------------- */

static void list_tensor(struct vector_file *f, const char *name, const char *type,
                        const struct shape *s, double envelope)
{
    struct json *j = f->manifest;
    json_open(j, NULL, '{');
    json_string(j, "name", name);
    json_string(j, "type", type);
    json_open(j, "shape", '[');
    for (int i = 0; i < s->rank; i++)
        json_int(j, NULL, s->dim[i]);
    json_close(j, ']');
    if (envelope > 0)
        json_number(j, "envelope", envelope);
    json_close(j, '}');
}

/* A key may begin with a group: "grad/input". */
static bool write_f64(struct vector_file *f, const char *part, const char *key, int rank,
                      const int64_t *dim, const double *data, struct error *e)
{
    char path[600], group[400], name[600];
    snprintf(path, sizeof path, "%.150s/%.200s", part, key);
    char *last = strrchr(path, '/');
    *last = 0;
    join(group, sizeof group, f->group, path, "");
    return h5_write_f64(f->h5, group, last + 1, rank, dim, data, e)
        && npz_write_f64(f->npz, join(name, sizeof name, group, last + 1, ""), rank, dim, data, e);
}

bool vector_given(struct vector_file *f, const char *part, const char *key, const struct shape *s,
                  const float *data, struct error *e)
{
    char group[400], name[600];
    join(group, sizeof group, f->group, part, "");
    list_tensor(f, join(name, sizeof name, part, key, ""), "float32", s, 0);
    return h5_write_f32(f->h5, group, key, s->rank, s->dim, data, e)
        && npz_write_f32(f->npz, join(name, sizeof name, group, key, ""), s->rank, s->dim, data, e);
}

static bool write_envelope(struct vector_file *f, const char *key, double envelope, struct error *e)
{
    const int64_t one = 1;
    return write_f64(f, "envelope", key, 1, &one, &envelope, e);
}

bool vector_expected(struct vector_file *f, const char *key, const struct shape *s,
                     const double *data, double envelope, struct error *e)
{
    char name[400];
    list_tensor(f, join(name, sizeof name, "float64", key, ""), "float64", s, envelope);
    return write_f64(f, "float64", key, s->rank, s->dim, data, e)
        && write_envelope(f, key, envelope, e);
}

bool vector_sampled(struct vector_file *f, const char *key, const struct shape *s,
                    const double *data, double envelope, struct error *e)
{
    const int64_t count = shape_count(s), samples = SAMPLES, two = 2;
    const double moments[] = {mean_value(count, data), root_mean_square(count, data)};
    double value[SAMPLES], index[SAMPLES];
    int dim[MAX_RANK];
    char object[400];
    for (int i = 0; i < s->rank; i++)
        dim[i] = (int)s->dim[i];
    for (int i = 0; i < SAMPLES; i++) {
        index[i] = (double)(int64_t)(seeded_hash(key, (uint64_t)i, 0) % (uint64_t)count);
        value[i] = data[(int64_t)index[i]];
    }
    list_tensor(f, join(object, sizeof object, "float64", key, ""), "float64, 64 samples", s,
                envelope);
    return write_f64(f, "float64", key, 1, &samples, value, e)
        && h5_write_object_ints(f->h5, object, "shape", dim, s->rank, e)
        && h5_write_object_double(f->h5, object, "mean", moments[0], e)
        && h5_write_object_double(f->h5, object, "rms", moments[1], e)
        && write_f64(f, "index", key, 1, &samples, index, e)
        && write_f64(f, "moments", key, 1, &two, moments, e)
        && write_envelope(f, key, envelope, e);
}
