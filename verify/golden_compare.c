/* One tensor against PyTorch's, full or sampled, in whatever layout. */
#include "golden.h"

#include "ref/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 64 };

/* Where the file's elements lie in our order. */
struct mapping {
    bool nchw;                  /* the file's shape is [N,C,H,W], ours [N,H,W,C] */
    int64_t channels, pixels;
    int64_t count;              /* of the full tensor */
    const char *sampled;        /* path that seeds the sample positions, or NULL */
};

static int64_t map_index(const void *context, int64_t i)
{
    const struct mapping *m = context;
    if (m->sampled)
        i = (int64_t)(seeded_hash(m->sampled, (uint64_t)i, 0) % (uint64_t)m->count);
    if (!m->nchw)
        return i;
    int64_t image = m->channels * m->pixels;
    int64_t n = i / image, c = i % image / m->pixels, p = i % m->pixels;
    return n * image + p * m->channels + c;
}

/* PyTorch's full shape: the dataset's, or the attribute of a sampled one. */
static bool full_shape(struct h5_file *f, const char *object, const struct h5_info *info,
                       bool sampled, int64_t *dim, int *rank, struct error *e)
{
    if (sampled)
        return h5_attr_ints(f, object, "shape", dim, H5_MAX_RANK, rank, e);
    *rank = info->rank;
    memcpy(dim, info->dim, sizeof info->dim);
    return true;
}

static bool shapes_fit(const struct shape *ours, bool nchw, const int64_t *dim, int rank)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1 || dim[i] > INT64_MAX / count)
            return false;
        count *= dim[i];
    }
    if (count != shape_count(ours))
        return false;
    if (nchw)
        return rank == 4 && ours->rank == 4 && dim[1] == ours->dim[3] && dim[2] == ours->dim[1]
            && dim[3] == ours->dim[2];
    return rank > 0 && dim[rank - 1] == shape_last(ours);
}

static bool read_mapping(struct h5_file *f, const char *object, const struct h5_info *info,
                         const struct subject *s, struct mapping *m, struct error *e)
{
    char layout[16] = "flat", have[64];
    int64_t dim[H5_MAX_RANK] = {0};
    int rank = 0;
    bool sampled = h5_has_attr(f, object, "shape");
    if (h5_has_attr(f, object, "layout")
        && !h5_attr_string(f, object, "layout", layout, sizeof layout, e))
        return false;
    if (!full_shape(f, object, info, sampled, dim, &rank, e))
        return false;
    *m = (struct mapping){.nchw = !strcmp(layout, "NCHW") && s->shape.rank == 4
                                  && s->direction == FORWARD,
                          .count = shape_count(&s->shape), .sampled = sampled ? s->key : NULL};
    if (!shapes_fit(&s->shape, m->nchw, dim, rank))
        return fail(e, EXIT_BAD_FILE, "%s: its shape (%lld values, layout %s) does not fit ours, "
                    "%s NHWC", object, (long long)info->count, layout,
                    shape_text(&s->shape, have, sizeof have));
    if (info->count != (sampled ? SAMPLES : m->count))
        return fail(e, EXIT_BAD_FILE, "%s: %lld values where %lld are expected", object,
                    (long long)info->count, (long long)(sampled ? SAMPLES : m->count));
    if (m->nchw) {
        m->channels = s->shape.dim[3];
        m->pixels = s->shape.dim[1] * s->shape.dim[2];
    }
    return true;
}

static double scale_of(const struct subject *s)
{
    return fmax(s->scale, root_mean_square(shape_count(&s->shape), s->v64));
}

/* Samples alone would miss an error elsewhere: mean and rms of the whole tensor
 * must agree as well. All are relative to the tensor's rms. */
static bool check_moments(struct h5_file *f, const char *object, const struct subject *s,
                          struct metrics *m, struct error *e)
{
    double mean, rms, count = (double)shape_count(&s->shape);
    if (!h5_attr_double(f, object, "mean", &mean, e) || !h5_attr_double(f, object, "rms", &rms, e))
        return false;
    double scale = scale_of(s) > 0 ? scale_of(s) : 1;
    double off_rms = fabs(rms - root_mean_square((int64_t)count, s->v64)) / scale;
    double off_mean = fabs(mean - mean_value((int64_t)count, s->v64)) / scale;
    double worst = off_rms > off_mean ? off_rms : off_mean;
    if (!(worst <= m->rel_rms))
        m->rel_rms = worst;
    return true;
}

static bool compare_one(struct h5_file *f, const struct subject *s, const char *precision,
                        struct metrics *m, bool *has, struct error *e)
{
    char group[256], object[400];
    struct h5_info info;
    struct mapping map;
    snprintf(group, sizeof group, "%s%s%s%s", s->prefix, precision, *s->group ? "/" : "", s->group);
    snprintf(object, sizeof object, "%s/%s", group, s->key);
    *has = h5_has(f, group, s->key);
    if (!*has)
        return true;
    if (!h5_describe(f, group, s->key, &info, e) || !read_mapping(f, object, &info, s, &map, e))
        return false;
    double *values = h5_read_f64(f, group, s->key, &info, e);
    if (!values)
        return false;
    *m = measure64(info.count, values, s->v64, map_index, &map);
    relative_to(m, scale_of(s));        /* to the whole tensor, not to the samples */
    free(values);
    return !map.sampled || check_moments(f, object, s, m, e);
}

bool golden_compare(struct h5_file *f, const struct subject *s, struct findings *found,
                    bool *seen, struct error *e)
{
    struct finding x = {.direction = s->direction, .chained = s->chained,
                        .condition = s->condition > 1 ? s->condition : 1};
    snprintf(x.unit, sizeof x.unit, "%s", s->unit);
    snprintf(x.tensor, sizeof x.tensor, "%s", s->tensor);
    if (!compare_one(f, s, "float32", &x.torch32, &x.has32, e)
        || !compare_one(f, s, "float64", &x.torch64, &x.has64, e))
        return false;
    *seen = x.has32 || x.has64;
    if (!*seen)
        return true;
    x.ref32 = measure32(shape_count(&s->shape), s->v32, s->v64, NULL, NULL);
    relative_to(&x.ref32, scale_of(s));
    x.ref32_limit = ref32_bound(s->terms);
    return findings_add(found, &x, e);
}
