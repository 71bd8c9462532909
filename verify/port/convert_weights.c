/* Weights of a model with all points to those of one without the middle one. */
#include "convert.h"

#include "datasets/weights_file.h"

#include <stdlib.h>
#include <string.h>

static bool ends_in(const char *key, const char *suffix)
{
    const size_t k = strlen(key), s = strlen(suffix);
    return k >= s && !strcmp(key + k - s, suffix);
}

/* Rows per point of a parameter that counts points; 0: it counts none. */
static int rows_per_point(const char *key)
{
    if (ends_in(key, ".dcn.offset.weight") || ends_in(key, ".dcn.offset.bias"))
        return 2;
    return ends_in(key, ".dcn.mask.weight") || ends_in(key, ".dcn.mask.bias") ? 1 : 0;
}

/* Copies the rows of `from` but those of every middle point; points: per group, before. */
static void drop_middle(const struct param *p, int points, const float *from, float *to)
{
    const int64_t rows = p->shape.dim[0], each = shape_count(&p->shape) / rows;
    const int64_t per_point = rows_per_point(p->key);
    for (int64_t r = 0; r < rows; r++) {
        if (r / per_point % points == points / 2)
            continue;
        memcpy(to, from + r * each, (size_t)each * sizeof *to);
        to += each;
    }
}

static void convert_values(const struct graph *from, const struct graph *to, int points,
                           float *const *old, float **new)
{
    for (int i = 0; i < from->params; i++) {
        const struct param *p = &from->param[i];
        if (rows_per_point(p->key))
            drop_middle(p, points, old[i], new[i]);
        else
            memcpy(new[i], old[i], (size_t)shape_count(&to->param[i].shape) * sizeof **new);
    }
}

bool convert_weights(const char *in, const char *out, struct error *e)
{
    struct internimage_config c, less;
    if (!weights_config(in, &c, e))
        return false;
    if (c.remove_center)
        return fail(e, EXIT_BAD_FILE, "%s: its windows have no middle point already", in);
    less = c;
    less.remove_center = true;
    if (c.kernel_size < 2)
        return fail(e, EXIT_BAD_FILE, "%s: a window of one point is nothing but its middle", in);
    struct graph *from = internimage_graph(&c, 1, 64, 64, e);
    struct graph *to = from ? internimage_graph(&less, 1, 64, 64, e) : NULL;
    float **old = to ? weights_new(from, e) : NULL, **new = old ? weights_new(to, e) : NULL;
    bool ok = new && weights_read(in, from, old, e);
    if (ok) {
        convert_values(from, to, c.kernel_size * c.kernel_size, old, new);
        ok = weights_write(out, &less, to, new, e);
    }
    if (old)
        weights_free(from, old);
    if (new)
        weights_free(to, new);
    graph_free(from);
    graph_free(to);
    return ok;
}
