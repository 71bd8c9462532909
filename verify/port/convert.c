#include "convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const layout_names[LAYOUTS] = {"dcnv2", "conv_offset", "dcnv3", "dcnv4"};

void taps_free(struct taps *t)
{
    free(t->offset);
    free(t->mask);
    *t = (struct taps){0};
}

int64_t array_count(const struct array *a)
{
    int64_t count = 1;
    for (int i = 0; i < a->rank; i++)
        count *= a->dim[i];
    return count;
}

bool array_new(struct array *a, int rank, const int64_t *dim, struct error *e)
{
    *a = (struct array){.rank = rank};
    memcpy(a->dim, dim, (size_t)rank * sizeof *dim);
    a->data = calloc((size_t)array_count(a) + 1, sizeof *a->data);
    return a->data || fail(e, EXIT_USAGE, "out of memory for %lld values",
                           (long long)array_count(a));
}

/* --- where a value lies ------------------------------------------------------------------ */

static int taps_of(const struct convert_window *w)
{
    return w->kernel_h * w->kernel_w;
}

/* The tap that remove_center leaves out, counted columns first. */
static int middle(const struct convert_window *w)
{
    return w->kernel_w / 2 * w->kernel_h + w->kernel_h / 2;
}

static int points_of(const struct convert_window *w)
{
    return taps_of(w) - w->remove_center;
}

static bool channels_first(enum convention_layout layout)
{
    return layout == LAYOUT_DCNV2 || layout == LAYOUT_CONV_OFFSET;
}

/* Channels of the first tensor, and those of the mask. */
static int64_t first_channels(enum convention_layout layout, const struct convert_window *w,
                              int64_t groups)
{
    const int64_t points = groups * (channels_first(layout) ? taps_of(w) : points_of(w));
    if (layout == LAYOUT_DCNV4)
        return (3 * points + 7) / 8 * 8;
    return layout == LAYOUT_CONV_OFFSET ? 3 * points : 2 * points;
}

/* Channels of one tap (g, k), k columns first: its (x, y) offset in the first tensor and its
 * mask, in the mask or behind the offsets of the first tensor. */
struct channels {
    int64_t x, y, mask;
};

static struct channels channels_of(enum convention_layout layout, const struct convert_window *w,
                                   int64_t groups, int64_t g, int k)
{
    const int64_t taps = taps_of(w), points = points_of(w);
    const int64_t p = w->remove_center && k > middle(w) ? k - 1 : k;
    const int64_t rows_first = k % w->kernel_h * w->kernel_w + k / w->kernel_h;
    if (layout == LAYOUT_DCNV3)
        return (struct channels){2 * (g * points + p), 2 * (g * points + p) + 1, g * points + p};
    if (layout == LAYOUT_DCNV4)
        return (struct channels){g * 3 * points + 2 * p, g * 3 * points + 2 * p + 1,
                                 g * 3 * points + 2 * points + p};
    const int64_t at = g * taps + rows_first;
    return (struct channels){2 * at + 1, 2 * at,
                             layout == LAYOUT_DCNV2 ? at : 2 * groups * taps + at};
}

/* Flat index of a channel at output pixel q of image n. */
static int64_t flat(enum convention_layout layout, int64_t channels, int64_t pixels, int64_t n,
                    int64_t q, int64_t channel)
{
    return channels_first(layout) ? (n * channels + channel) * pixels + q
                                  : (n * pixels + q) * channels + channel;
}

/* DCNv2's offset is the whole displacement from the regular tap; DCNv3 stretches window and
 * offset by s about the window's centre. For tap i of an axis:
 *
 *   displacement = s offset + (s - 1) (i dilation - centre)                                 */
static double stretch(int tap, int kernel, int dilation, double scale)
{
    const int centre = (dilation * (kernel - 1)) >> 1;
    return (scale - 1) * (tap * dilation - centre);
}

/* --- reading ------------------------------------------------------------------------------- */

static bool shape_taps(struct taps *t, enum convention_layout from, const struct array *first,
                       struct error *e)
{
    const bool nchw = channels_first(from);
    if (first->rank != 4)
        return fail(e, EXIT_BAD_FILE, "the offsets have %d dimensions, expected 4", first->rank);
    const int64_t channels = first->dim[nchw ? 1 : 3];
    const int64_t each = first_channels(from, &t->window, 8) / 8;
    t->batch = first->dim[0];
    t->height = first->dim[nchw ? 2 : 1];
    t->width = first->dim[nchw ? 3 : 2];
    t->groups = t->window.groups ? t->window.groups : each ? channels / each : 0;
    /* Padded to 8 channels, few points leave the number of groups open. */
    if (from == LAYOUT_DCNV4 && !t->window.groups && 3 * points_of(&t->window) < 8)
        return fail(e, EXIT_USAGE, "give --groups: %lld packed channels do not tell how many",
                    (long long)channels);
    if (t->groups < 1)
        return fail(e, EXIT_BAD_FILE, "%lld channels of offsets do not fit a %dx%d kernel (%s, "
                    "%s): one group has %lld", (long long)channels, t->window.kernel_h,
                    t->window.kernel_w, layout_names[from], nchw ? "[N,C,H,W]" : "[N,H,W,C]",
                    (long long)first_channels(from, &t->window, 1));
    if (first_channels(from, &t->window, t->groups) != channels)
        return fail(e, EXIT_BAD_FILE, "%lld channels of offsets do not fit a %dx%d kernel in %lld "
                    "groups (%s, %s): %lld are expected", (long long)channels, t->window.kernel_h,
                    t->window.kernel_w, (long long)t->groups, layout_names[from],
                    nchw ? "[N,C,H,W]" : "[N,H,W,C]",
                    (long long)first_channels(from, &t->window, t->groups));
    return true;
}

static bool check_mask(const struct taps *t, enum convention_layout from, const struct array *mask,
                       struct error *e)
{
    const bool nchw = channels_first(from);
    const int64_t channels = t->groups * (nchw ? taps_of(&t->window) : points_of(&t->window));
    if (mask->rank == 4 && mask->dim[0] == t->batch && mask->dim[nchw ? 1 : 3] == channels
        && mask->dim[nchw ? 2 : 1] == t->height && mask->dim[nchw ? 3 : 2] == t->width)
        return true;
    return fail(e, EXIT_BAD_FILE, "the mask's shape does not fit the offsets: %lld images of "
                "%lldx%lld with %lld channels are expected", (long long)t->batch,
                (long long)t->height, (long long)t->width, (long long)channels);
}

static void read_tap(struct taps *t, enum convention_layout from, const struct array *first,
                     const struct array *mask, int64_t n, int64_t q, int64_t g, int k)
{
    const struct convert_window *w = &t->window;
    const int64_t pixels = t->height * t->width, taps = taps_of(w);
    const int64_t to = ((n * pixels + q) * t->groups + g) * taps + k;
    const int64_t wide = first_channels(from, w, t->groups);
    const struct channels c = channels_of(from, w, t->groups, g, k);
    if (!channels_first(from) && w->remove_center && k == middle(w))
        return;                         /* stays 0 */
    const int64_t mask_channels = t->groups * (from == LAYOUT_DCNV2 ? taps : points_of(w));
    double x = first->data[flat(from, wide, pixels, n, q, c.x)];
    double y = first->data[flat(from, wide, pixels, n, q, c.y)];
    if (channels_first(from)) {
        x = (x - stretch(k / w->kernel_h, w->kernel_w, w->dilation_w, w->offset_scale))
          / w->offset_scale;
        y = (y - stretch(k % w->kernel_h, w->kernel_h, w->dilation_h, w->offset_scale))
          / w->offset_scale;
    }
    t->offset[2 * to] = x;
    t->offset[2 * to + 1] = y;
    if (from == LAYOUT_CONV_OFFSET)
        t->mask[to] = 1 / (1 + exp(-first->data[flat(from, wide, pixels, n, q, c.mask)]));
    else if (from == LAYOUT_DCNV4)
        t->mask[to] = first->data[flat(from, wide, pixels, n, q, c.mask)];
    else if (mask)
        t->mask[to] = mask->data[flat(from, mask_channels, pixels, n, q, c.mask)];
}

static bool check_window(const struct convert_window *w, struct error *e)
{
    if (w->kernel_h < 1 || w->kernel_w < 1 || w->kernel_h > 63 || w->kernel_w > 63
        || w->dilation_h < 1 || w->dilation_w < 1)
        return fail(e, EXIT_USAGE, "a kernel of %dx%d with dilation %dx%d makes no sense",
                    w->kernel_h, w->kernel_w, w->dilation_h, w->dilation_w);
    if (!isfinite(w->offset_scale) || w->offset_scale == 0)
        return fail(e, EXIT_USAGE, "an offset scale of %g cannot be undone", w->offset_scale);
    return points_of(w) > 0 || fail(e, EXIT_USAGE, "no sampling point is left");
}

bool taps_from(struct taps *t, enum convention_layout from, const struct convert_window *w,
               const struct array *first, const struct array *mask, struct error *e)
{
    *t = (struct taps){.window = *w};
    if (!check_window(w, e) || !shape_taps(t, from, first, e)
        || (mask && !check_mask(t, from, mask, e)))
        return false;
    const int64_t pixels = t->height * t->width;
    const size_t count = (size_t)(t->batch * pixels * t->groups) * (size_t)taps_of(w);
    t->offset = calloc(2 * count + 1, sizeof *t->offset);
    const bool masked = mask || from == LAYOUT_CONV_OFFSET || from == LAYOUT_DCNV4;
    t->mask = masked ? calloc(count + 1, sizeof *t->mask) : NULL;
    if (!t->offset || (masked && !t->mask)) {
        taps_free(t);
        return fail(e, EXIT_USAGE, "out of memory for %zu sampling points", count);
    }
    for (int64_t n = 0; n < t->batch; n++)
        for (int64_t q = 0; q < pixels; q++)
            for (int64_t g = 0; g < t->groups; g++)
                for (int k = 0; k < taps_of(w); k++)
                    read_tap(t, from, first, mask, n, q, g, k);
    return true;
}

/* --- writing -------------------------------------------------------------------------------- */

static bool write_mask(double m, enum convention_layout to, double *at, struct error *e)
{
    if (to == LAYOUT_CONV_OFFSET && !(m > 0 && m < 1))
        return fail(e, EXIT_BAD_FILE, "a mask of %g is not the sigmoid of anything: conv_offset "
                    "cannot hold it", m);
    *at = to == LAYOUT_CONV_OFFSET ? log(m / (1 - m)) : m;
    return true;
}

static bool write_tap(const struct taps *t, enum convention_layout to,
                      const struct convert_window *w, struct array *first, struct array *mask,
                      int64_t n, int64_t q, int64_t g, int k, struct error *e)
{
    const int64_t pixels = t->height * t->width, taps = taps_of(w);
    const int64_t from = ((n * pixels + q) * t->groups + g) * taps + k;
    const int64_t wide = first_channels(to, w, t->groups);
    const struct channels c = channels_of(to, w, t->groups, g, k);
    const double m = t->mask ? t->mask[from] : 1;
    if (!channels_first(to) && w->remove_center && k == middle(w))
        return m == 0 || fail(e, EXIT_BAD_FILE, "the middle point has a mask of %g: without it "
                              "the result would be another", m);
    double x = t->offset[2 * from], y = t->offset[2 * from + 1];
    if (channels_first(to)) {
        x = w->offset_scale * x
          + stretch(k / w->kernel_h, w->kernel_w, w->dilation_w, w->offset_scale);
        y = w->offset_scale * y
          + stretch(k % w->kernel_h, w->kernel_h, w->dilation_h, w->offset_scale);
    }
    first->data[flat(to, wide, pixels, n, q, c.x)] = x;
    first->data[flat(to, wide, pixels, n, q, c.y)] = y;
    if (to == LAYOUT_CONV_OFFSET || to == LAYOUT_DCNV4)
        return write_mask(m, to, &first->data[flat(to, wide, pixels, n, q, c.mask)], e);
    if (mask->data)
        return write_mask(m, to, &mask->data[flat(to, array_count(mask) / (t->batch * pixels),
                                                  pixels, n, q, c.mask)], e);
    return true;
}

static bool arrays_new(const struct taps *t, enum convention_layout to,
                       const struct convert_window *w, struct array *first, struct array *mask,
                       struct error *e)
{
    const bool nchw = channels_first(to);
    const int64_t points = t->groups * (nchw ? taps_of(w) : points_of(w));
    const int64_t channels[] = {first_channels(to, w, t->groups), points};
    for (int i = 0; i < 2; i++) {
        const int64_t c = channels[i];
        const int64_t first_last[] = {t->batch, nchw ? c : t->height, nchw ? t->height : t->width,
                                      nchw ? t->width : c};
        /* DCNv2 without a mask is DCNv1; DCNv3 always has one. */
        if (i == 1 && (to == LAYOUT_CONV_OFFSET || to == LAYOUT_DCNV4
                       || (to == LAYOUT_DCNV2 && !t->mask)))
            continue;
        if (!array_new(i ? mask : first, 4, first_last, e))
            return false;
    }
    return true;
}

bool taps_to(const struct taps *t, enum convention_layout to, const struct convert_window *w,
             struct array *first, struct array *mask, struct error *e)
{
    *first = *mask = (struct array){0};
    bool ok = arrays_new(t, to, w, first, mask, e);
    for (int64_t n = 0; ok && n < t->batch; n++)
        for (int64_t q = 0; ok && q < t->height * t->width; q++)
            for (int64_t g = 0; ok && g < t->groups; g++)
                for (int k = 0; ok && k < taps_of(w); k++)
                    ok = write_tap(t, to, w, first, mask, n, q, g, k, e);
    if (ok)
        return true;
    free(first->data);
    free(mask->data);
    *first = *mask = (struct array){0};
    return false;
}

void swap_last(int64_t batch, int64_t rows, int64_t columns, const double *from, double *to)
{
    for (int64_t n = 0; n < batch; n++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                to[(n * columns + c) * rows + r] = from[(n * rows + r) * columns + c];
}
