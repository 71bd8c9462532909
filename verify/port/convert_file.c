/* Converting the tensors of a file, see convert.h. */
#include "convert.h"

#include "datasets/h5.h"
#include "datasets/npz.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *first, *mask;
} names_of[LAYOUTS] = {
    [LAYOUT_DCNV2] = {"offset", "mask"}, [LAYOUT_CONV_OFFSET] = {"conv_offset", NULL},
    [LAYOUT_DCNV3] = {"offset", "mask"}, [LAYOUT_DCNV4] = {"offset_mask", NULL},
};

/* --- in ------------------------------------------------------------------------------------ */

/* data stays NULL when the file has no such tensor and it may be missing. *doubles becomes
 * true where float32 would lose something. */
static bool read_array(struct tensor_file *f, const char *path, const char *name, bool needed,
                       struct array *a, bool *doubles, struct error *e)
{
    const int index = tensors_find(f, name);
    *a = (struct array){0};
    if (index < 0)
        return !needed || fail(e, EXIT_BAD_FILE, "%s: there is no tensor '%s'", path, name);
    const struct tensor_info *info = tensors_info(f, index);
    *doubles = *doubles || info->type == TENSOR_F64;
    if (info->rank < 1)
        return fail(e, EXIT_BAD_FILE, "%s: '%s' is a single number", path, name);
    if (array_new(a, info->rank, info->dim, e)
        && tensors_read_f64(f, index, 0, info->count, a->data, e))
        return true;
    free(a->data);
    *a = (struct array){0};
    return false;
}

/* --- out ----------------------------------------------------------------------------------- */

struct writer {
    struct h5_file *h5;
    struct npz_file *npz;
    bool doubles;
};

static bool writer_open(struct writer *w, const char *path, bool doubles, struct error *e)
{
    const size_t length = strlen(path);
    *w = (struct writer){.doubles = doubles};
    if (length > 4 && !strcmp(path + length - 4, ".npz"))
        w->npz = npz_create(path, e);
    else
        w->h5 = h5_create(path, e);
    return w->npz || w->h5;
}

static bool writer_close(struct writer *w, struct error *e)
{
    return w->npz ? npz_close(w->npz, e) : h5_close(w->h5, e);
}

static bool write_array(struct writer *w, const char *name, const struct array *a, struct error *e)
{
    const int64_t count = array_count(a);
    if (w->doubles)
        return w->npz ? npz_write_f64(w->npz, name, a->rank, a->dim, a->data, e)
                      : h5_write_f64(w->h5, "", name, a->rank, a->dim, a->data, e);
    float *v = malloc((size_t)count * sizeof *v + 1);
    if (!v)
        return fail(e, EXIT_USAGE, "out of memory for '%s'", name);
    for (int64_t i = 0; i < count; i++)
        v[i] = (float)a->data[i];
    const bool ok = w->npz ? npz_write_f32(w->npz, name, a->rank, a->dim, v, e)
                           : h5_write_f32(w->h5, "", name, a->rank, a->dim, v, e);
    free(v);
    return ok;
}

/* --- input and weight ------------------------------------------------------------------------ */

static bool nchw(enum convention_layout layout)
{
    return layout == LAYOUT_DCNV2 || layout == LAYOUT_CONV_OFFSET;
}

static bool write_input(struct writer *w, const struct array *input, enum convention_layout from,
                        enum convention_layout to, struct error *e)
{
    struct array moved;
    const int64_t *d = input->dim;
    if (nchw(from) == nchw(to))
        return write_array(w, "input", input, e);
    const int64_t last[] = {d[0], d[2], d[3], d[1]}, first[] = {d[0], d[3], d[1], d[2]};
    if (!array_new(&moved, 4, nchw(from) ? last : first, e))
        return false;
    swap_last(d[0], nchw(from) ? d[1] : d[1] * d[2], nchw(from) ? d[2] * d[3] : d[3], input->data,
              moved.data);
    const bool ok = write_array(w, "input", &moved, e);
    free(moved.data);
    return ok;
}

/* DCNv3 is the depthwise DCNv2 whose weights are all 1. */
static bool write_ones(struct writer *w, int64_t channels, const struct convert_window *window,
                       struct error *e)
{
    struct array ones;
    if (!array_new(&ones, 4, (int64_t[]){channels, 1, window->kernel_h, window->kernel_w}, e))
        return false;
    for (int64_t i = 0; i < array_count(&ones); i++)
        ones.data[i] = 1;
    const bool ok = write_array(w, "weight", &ones, e);
    free(ones.data);
    return ok;
}

/* --- all of it -------------------------------------------------------------------------------- */

struct tensors {
    struct array input, first, mask;
    bool doubles;
};

static void tensors_drop(struct tensors *t)
{
    free(t->input.data);
    free(t->first.data);
    free(t->mask.data);
    *t = (struct tensors){0};
}

static bool read_all(const char *path, enum convention_layout from,
                     const struct convert_names *names, struct tensors *t, struct error *e)
{
    struct tensor_file *f = tensors_open(path, e);
    const char *mask = names->mask ? names->mask : names_of[from].mask;
    bool ok = f
        && read_array(f, path, names->offset ? names->offset : names_of[from].first, true,
                      &t->first, &t->doubles, e)
        && (!names_of[from].mask
            || read_array(f, path, mask, names->mask || from == LAYOUT_DCNV3, &t->mask,
                          &t->doubles, e))
        && read_array(f, path, names->input ? names->input : "input", names->input != NULL,
                      &t->input, &t->doubles, e);
    if (ok && t->input.data && t->input.rank != 4)
        ok = fail(e, EXIT_BAD_FILE, "%s: the input has %d dimensions, expected 4", path,
                  t->input.rank);
    tensors_close(f);
    return ok;
}

static bool write_all(const char *path, enum convention_layout from, enum convention_layout to,
                      const struct convert_window *window, const struct tensors *t,
                      const struct array *input, struct error *e)
{
    struct writer w;
    if (!writer_open(&w, path, t->doubles, e))
        return false;
    bool ok = write_array(&w, names_of[to].first, &t->first, e)
           && (!t->mask.data || write_array(&w, names_of[to].mask, &t->mask, e))
           && (!input->data || write_input(&w, input, from, to, e));
    if (ok && input->data && !nchw(from) && nchw(to))
        ok = write_ones(&w, input->dim[3], window, e);
    return writer_close(&w, e) && ok;
}

bool convert_file(const char *in, const char *out, enum convention_layout from,
                  enum convention_layout to, const struct convert_window *w,
                  const struct convert_names *names, struct error *e)
{
    struct tensors read = {0}, made = {0};
    struct taps taps = {0};
    bool ok = read_all(in, from, names, &read, e)
           && taps_from(&taps, from, w, &read.first, read.mask.data ? &read.mask : NULL, e)
           && taps_to(&taps, to, w, &made.first, &made.mask, e);
    error_in(e, in);
    made.doubles = read.doubles;
    ok = ok && write_all(out, from, to, w, &made, &read.input, e);
    taps_free(&taps);
    tensors_drop(&read);
    tensors_drop(&made);
    return ok;
}
