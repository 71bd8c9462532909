#include "specimen.h"

#include "datasets/image.h"
#include "datasets/weights_file.h"
#include "ref/initial.h"
#include "ref/weights.h"

#include <stdlib.h>
#include <string.h>

static bool open_images(struct specimen *s, const struct specimen_options *o, struct error *e)
{
    if (!o->data) {
        s->image = image_read(o->image, &s->height, &s->width, e);
        return s->image != NULL;
    }
    s->images = images_open(o->data, o->data_dir, false, e);
    if (!s->images)
        return false;
    s->size = o->size ? o->size : s->config.image_size;
    s->height = s->size ? s->size : s->images->height;
    s->width = s->size ? s->size : s->images->width;
    if (!o->weights)
        s->config.num_classes = s->images->classes;
    return true;
}

static bool fill_params(struct specimen *s, const struct specimen_options *o, struct error *e)
{
    if (o->weights)
        return weights_read(o->weights, s->graph, s->params, e);
    if (!strcmp(o->init, "initial")) {
        initial_parameters(s->graph, 1, s->params);
        return true;
    }
    if (strcmp(o->init, "seeded"))
        return fail(e, EXIT_USAGE, "parameters '%s': expected initial or seeded", o->init);
    for (int i = 0; i < s->graph->params; i++)
        seeded_parameter(&s->graph->param[i], 1, s->params[i]);
    return true;
}

bool specimen_open(struct specimen *s, const struct specimen_options *o, struct error *e)
{
    *s = (struct specimen){0};
    bool ok = (o->weights ? weights_config(o->weights, &s->config, e)
                          : internimage_named(o->model, &s->config, e))
           && open_images(s, o, e);
    s->graph = ok ? internimage_graph(&s->config, 1, s->height, s->width, e) : NULL;
    s->params = s->graph ? weights_new(s->graph, e) : NULL;
    if (s->params && fill_params(s, o, e))
        return true;
    specimen_close(s);
    return false;
}

void specimen_close(struct specimen *s)
{
    if (s->graph)
        weights_free(s->graph, s->params);
    graph_free(s->graph);
    images_close(s->images);
    free(s->image);
    *s = (struct specimen){0};
}

int64_t specimen_count(const struct specimen *s)
{
    return s->images ? s->images->count : 1;
}

bool specimen_image(const struct specimen *s, int64_t index, float *out, struct error *e)
{
    if (!s->images) {
        memcpy(out, s->image, 3 * (size_t)s->height * s->width * sizeof *out);
        return true;
    }
    unsigned char *pixel = malloc((size_t)s->images->channels * s->images->height
                                  * s->images->width);
    const struct view plain = {.size = s->size};
    const bool ok = pixel ? images_get(s->images, index, pixel, e)
                          : fail(e, EXIT_USAGE, "out of memory for an image");
    if (ok)
        image_view(s->images, &plain, pixel, 0, out);
    free(pixel);
    return ok;
}
