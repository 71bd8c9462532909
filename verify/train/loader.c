#include "loader.h"

#include "ref/weights.h"

#include <omp.h>
#include <stdlib.h>

static size_t pixels_of(const struct image_set *s)
{
    return (size_t)s->channels * s->height * s->width;
}

static size_t inputs_of(const struct loader *l)
{
    const struct image_set *s = l->images;
    const size_t size = (size_t)l->view.size;
    return 3 * (size ? size * size : (size_t)s->height * s->width);
}

bool loader_new(struct loader *l, const struct image_set *images, const struct view *view,
                int batch, int threads, struct error *e)
{
    *l = (struct loader){.images = images, .view = *view, .batch = batch, .count = images->count,
                         .threads = threads > 0 ? threads : omp_get_max_threads()};
    l->pixel = malloc((size_t)batch * pixels_of(images));
    l->label = calloc((size_t)batch, sizeof *l->label);
    return (l->pixel && l->label)
        || fail(e, EXIT_USAGE, "out of memory for a batch of %d images", batch);
}

void loader_free(struct loader *l)
{
    free(l->order);
    free(l->pixel);
    free(l->label);
}

/* Fisher and Yates. */
bool loader_shuffle(struct loader *l, int64_t count, uint64_t seed, uint64_t epoch,
                    struct error *e)
{
    int64_t *order = realloc(l->order, (size_t)count * sizeof *order);
    if (!order)
        return fail(e, EXIT_USAGE, "out of memory for an order of %lld images", (long long)count);
    l->order = order;
    l->count = count;
    l->seed = seed;
    l->epoch = epoch;
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        const uint64_t at = epoch * (uint64_t)count + (uint64_t)i;
        const int64_t k = (int64_t)(seeded_hash("order", at, seed) % (uint64_t)(i + 1));
        const int64_t swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
    return true;
}

bool loader_fill(struct loader *l, int64_t first, int count, float *input, struct error *e)
{
    const struct image_set *s = l->images;
    const size_t pixels = pixels_of(s), inputs = inputs_of(l);
    for (int i = 0; i < count; i++) {
        const int64_t index = l->order ? l->order[first + i] : first + i;
        l->label[i] = s->label[index];
        if (!images_get(s, index, l->pixel + (size_t)i * pixels, e))
            return false;
    }
    const struct view plain = {.size = l->view.size};
#pragma omp parallel for num_threads(l->threads)
    for (int i = 0; i < count; i++) {
        const uint64_t at = l->epoch * (uint64_t)l->count + (uint64_t)(first + i);
        image_view(s, l->order ? &l->view : &plain, l->pixel + (size_t)i * pixels,
                   seeded_hash("view", at, l->seed), input + (size_t)i * inputs);
    }
    return true;
}
