/* Images and labels in one file: ImageNet as datasets/torch/pack_imagenet.py writes it, or
 * anything with an array of bytes [N, 3, H, W] or [N, H, W, 3] called images, imgs, data or
 * x, and as many integers called labels, label, targets or y. Read image by image. */
#include "image_sets.h"
#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>

static int find_one(const struct tensor_file *f, const char *const *name)
{
    int index = -1;
    for (; index < 0 && *name; name++)
        index = tensors_find(f, *name);
    return index;
}

static bool shape_from(struct image_set *s, const char *path, struct error *e)
{
    const struct tensor_info *t = tensors_info(s->file, s->tensor);
    const bool rank = t->rank == 4, nchw = rank && t->dim[1] == 3;
    if (t->type != TENSOR_U8 || !rank || (!nchw && t->dim[3] != 3))
        return fail(e, EXIT_BAD_FILE, "%s: '%s' is %s in %d dimensions, expected uint8 "
                    "[N, 3, H, W] or [N, H, W, 3]", path, t->name, tensor_type_name(t->type),
                    t->rank);
    s->nhwc = !nchw;
    const int64_t height = t->dim[nchw ? 2 : 1], width = t->dim[nchw ? 3 : 2];
    if (t->count < 1 || height > MOST_SIDE || width > MOST_SIDE)
        return fail(e, EXIT_BAD_FILE, "%s: %lld images of %lld x %lld, expected at least one, of "
                    "at most %d a side", path, (long long)t->dim[0], (long long)height,
                    (long long)width, MOST_SIDE);
    s->count = t->dim[0];
    s->height = (int)height;
    s->width = (int)width;
    snprintf(s->note, sizeof s->note, "'%.40s' read as %s", t->name, s->nhwc ? "NHWC" : "NCHW");
    return true;
}

static bool labels_from(struct image_set *s, const char *path, struct error *e)
{
    const char *const names[] = {"labels", "label", "targets", "y", NULL};
    const int index = find_one(s->file, names);
    const struct tensor_info *t = index < 0 ? NULL : tensors_info(s->file, index);
    if (!t || t->type < TENSOR_I64 || t->type > TENSOR_U8 || t->count != s->count)
        return fail(e, EXIT_BAD_FILE, "%s: %s, expected %lld integers called labels, label, "
                    "targets or y", path, t ? "the labels have another type or number"
                                            : "there are no labels", (long long)s->count);
    double *value = malloc((size_t)s->count * sizeof *value);
    s->label = malloc((size_t)s->count * sizeof *s->label);
    bool ok = (value && s->label) || fail(e, EXIT_USAGE, "%s: out of memory", path);
    ok = ok && tensors_read_f64(s->file, index, 0, s->count, value, e);
    for (int64_t i = 0; ok && i < s->count; i++) {
        ok = (value[i] >= 0 && value[i] < 1 << 24)
          || fail(e, EXIT_BAD_FILE, "%s: label %lld is %g", path, (long long)i, value[i]);
        s->label[i] = ok ? (int32_t)value[i] : 0;
        s->classes = s->label[i] >= s->classes ? s->label[i] + 1 : s->classes;
    }
    free(value);
    return ok;
}

bool pack_open(struct image_set *s, const char *path, struct error *e)
{
    const char *const names[] = {"images", "imgs", "data", "x", NULL};
    /* ImageNet's statistics, as every InternImage checkpoint was trained with */
    *s = (struct image_set){.channels = 3, .mean = {0.485f, 0.456f, 0.406f},
                            .deviation = {0.229f, 0.224f, 0.225f}};
    if (!(s->file = tensors_open(path, e)))
        return false;
    s->tensor = find_one(s->file, names);
    if (s->tensor < 0)
        return fail(e, EXIT_BAD_FILE, "%s: there is no dataset images, imgs, data or x", path);
    return shape_from(s, path, e) && labels_from(s, path, e);
}

bool pack_get(const struct image_set *s, int64_t index, unsigned char *out, struct error *e)
{
    const int64_t area = (int64_t)s->height * s->width, size = 3 * area;
    float *value = malloc((size_t)size * sizeof *value);
    bool ok = value || fail(e, EXIT_USAGE, "out of memory for an image");
    ok = ok && tensors_read_f32(s->file, s->tensor, index * size, size, value, e);
    for (int64_t i = 0; ok && i < size; i++)
        out[i] = (unsigned char)value[s->nhwc ? i % area * 3 + i / area : i];
    free(value);
    return ok;
}

void pack_close(struct image_set *s)
{
    tensors_close(s->file);
}
