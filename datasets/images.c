#include "image_sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool open_set(struct image_set *s, const char *what, const char *directory, bool train,
                     struct error *e)
{
    const size_t length = strlen(what);
    if (!strcmp(what, "fashion-mnist"))
        return fashion_mnist_read(s, directory, train, e);
    if (!strcmp(what, "cifar10"))
        return cifar10_read(s, directory, train, e);
    if (length > 3 && !strcmp(what + length - 3, ".h5"))
        return pack_open(s, what, e);
    return fail(e, EXIT_USAGE, "'%s' is no image set; there are fashion-mnist, cifar10 and "
                "FILE.h5", what);
}

struct image_set *images_open(const char *what, const char *directory, bool train,
                              struct error *e)
{
    struct image_set *s = calloc(1, sizeof *s);
    if (s && open_set(s, what, directory, train, e)) {
        snprintf(s->name, sizeof s->name, "%s", s->file ? "pack" : what);
        return s;
    }
    images_close(s);
    fail(e, EXIT_USAGE, "%s: out of memory", what);
    return NULL;
}

void images_close(struct image_set *s)
{
    if (!s)
        return;
    pack_close(s);
    free(s->label);
    free(s->pixel);
    free(s);
}

bool images_get(const struct image_set *s, int64_t index, unsigned char *out, struct error *e)
{
    const size_t size = (size_t)s->channels * s->height * s->width;
    if (!s->pixel)
        return pack_get(s, index, out, e);
    memcpy(out, s->pixel + (size_t)index * size, size);
    return true;
}

/* What a crop and a flip do to one plane: zeros come from outside. */
struct moved {
    const unsigned char *plane;
    int height, width, dy, dx;
    bool flip;
};

/* Line y of it, as wide as the plane. */
static void moved_line(const struct moved *m, int y, float *line)
{
    const int from_y = y + m->dy;
    const bool inside = from_y >= 0 && from_y < m->height;
    const unsigned char *pixel = m->plane + (inside ? from_y * m->width : 0);
    for (int x = 0; x < m->width; x++) {
        const int from_x = (m->flip ? m->width - 1 - x : x) + m->dx;
        line[x] = inside && from_x >= 0 && from_x < m->width ? pixel[from_x] : 0;
    }
}

/* Position i of `to` in a line of `from` values, half-pixel centres, as
 * torch.nn.functional.interpolate(align_corners=False). */
static float source(int i, int from, int to, int *first, int *second)
{
    float at = ((float)i + 0.5f) * (float)from / (float)to - 0.5f;
    at = at < 0 ? 0 : at;
    *first = (int)at;
    *second = *first + 1 < from ? *first + 1 : *first;
    return at - (float)*first;
}

/* One plane scaled to size x size. */
static void scale_plane(const struct moved *m, int size, float *out)
{
    int x0[MOST_SIDE], x1[MOST_SIDE];
    float fx[MOST_SIDE], upper[MOST_SIDE], lower[MOST_SIDE];
    for (int x = 0; x < size; x++)
        fx[x] = source(x, m->width, size, &x0[x], &x1[x]);
    for (int y = 0; y < size; y++) {
        int y0, y1;
        const float fy = source(y, m->height, size, &y0, &y1);
        moved_line(m, y0, upper);
        moved_line(m, y1, lower);
        for (int x = 0; x < size; x++)
            *out++ = (1 - fy) * ((1 - fx[x]) * upper[x0[x]] + fx[x] * upper[x1[x]])
                   + fy * ((1 - fx[x]) * lower[x0[x]] + fx[x] * lower[x1[x]]);
    }
}

void image_view(const struct image_set *s, const struct view *v, const unsigned char *pixel,
                uint64_t random, float *out)
{
    const int height = v->size ? v->size : s->height, width = v->size ? v->size : s->width;
    const int area = height * width, range = 2 * v->pad + 1;
    struct moved m = {
        .height = s->height, .width = s->width, .dy = (int)(random % range) - v->pad,
        .dx = (int)((random >> 20) % range) - v->pad, .flip = v->flip && random >> 40 & 1,
    };
    for (int c = 0; c < 3; c++) {
        const int from = s->channels == 3 ? c : 0;
        m.plane = pixel + (size_t)from * s->height * s->width;
        if (from != c) {
            memcpy(out + c * area, out, (size_t)area * sizeof *out);
            continue;
        }
        float *plane = out + c * area;
        if (v->size)
            scale_plane(&m, v->size, plane);
        else
            for (int y = 0; y < height; y++)
                moved_line(&m, y, plane + y * width);
        for (int i = 0; i < area; i++)
            plane[i] = (plane[i] / 255 - s->mean[c]) / s->deviation[c];
    }
}
