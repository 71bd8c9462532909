/* The settings of public test suites, with seeded numbers of the same distribution: their files
 * cannot be had without their libraries, their shapes and tolerances can. */
#include "vectors.h"
#include "dcn_case.h"

#include "ref/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum law { UNIFORM, NORMAL };           /* in [0, 1); mean 0, deviation 1 */

/* Values of a tensor: scale * law + shift. */
static bool draw(const char *stream, enum law law, float scale, float shift, int64_t count,
                 float *v, struct error *e)
{
    float *second = malloc((size_t)count * sizeof *second);
    char other[200];
    if (!second)
        return fail(e, EXIT_USAGE, "out of memory for %s", stream);
    snprintf(other, sizeof other, "%.180s/2", stream);
    seeded_uniform(stream, SUITE_SEED, count, v);
    seeded_uniform(other, SUITE_SEED, count, second);
    for (int64_t i = 0; i < count; i++) {
        const double u = 0.5 + 0.5 * v[i], angle = 3.14159265358979323846 * second[i];
        const double x = law == UNIFORM ? u : sqrt(-2 * log(1 - u)) * cos(angle);
        v[i] = (float)(scale * x + shift);
    }
    free(second);
    return true;
}

struct drawn {
    const char *tensor;
    enum law law;
    float scale, shift;
};

static bool draw_all(struct pair *p, const struct drawn *d, int count, int points, struct error *e)
{
    const struct graph *g = p->graph;
    bool ok = true;
    for (int i = 0; ok && i < g->nodes - 1 + g->params; i++) {
        const int k = i - (g->nodes - 1);
        const char *name = k < 0 ? g->node[i]->name : g->param[k].key + strlen("op.");
        const int64_t size = shape_count(k < 0 ? &g->node[i]->shape : &g->param[k].shape);
        float *v = malloc((size_t)size * sizeof *v);
        for (int j = 0; v && j < count; j++)
            if (!strcmp(d[j].tensor, name))
                ok = draw(name, d[j].law, d[j].scale, d[j].shift, size, v, e);
        for (int64_t at = 0; v && points && !strcmp(name, "mask") && at < size; at += points) {
            double sum = 0;             /* they divide by the sum over the points */
            for (int j = 0; j < points; j++)
                sum += v[at + j];
            for (int j = 0; j < points; j++)
                v[at + j] = (float)(v[at + j] / sum);
        }
        ok = ok && (v || fail(e, EXIT_USAGE, "out of memory for %s", name));
        if (ok && k < 0)
            pair_set_value(p, g->node[i], v);
        else if (ok)
            pair_set_param(p, k, v);
        free(v);
    }
    return ok;
}

static const struct suite {
    const char *name;
    double rtol, atol;
    struct dcn_case shape[2];
    int shapes, drawn;
    bool normalised;
    struct drawn draw[5];
} suites[] = {
    /* ops_dcnv3/test.py, the float32 forward check. */
    {"internimage", 1e-2, 1e-3,
     {{.op = OP_dcnv3, .batch = 2, .height = 8, .width = 8, .groups = 4, .group_channels = 16,
       .y = {3, 1, 1, 1}, .x = {3, 1, 1, 1}, .offset_scale = 2}}, 1, 3, true,
     {{"input", UNIFORM, 0.01f, 0}, {"offset", UNIFORM, 10, 0}, {"mask", UNIFORM, 1, 1e-5f}}},
    /* test_ops.py, TestDeformConv.test_forward, with and without modulation. */
    {"torchvision", 1e-5, 1e-5,
     {{.op = OP_dcnv2, .batch = 33, .height = 5, .width = 4, .in_channels = 6, .out_channels = 2,
       .groups = 2, .offset_groups = 3, .y = {3, 2, 1, 2}, .x = {2, 1, 0, 1}},
      {.op = OP_dcnv2, .batch = 33, .height = 5, .width = 4, .in_channels = 6, .out_channels = 2,
       .groups = 2, .offset_groups = 3, .y = {3, 2, 1, 2}, .x = {2, 1, 0, 1}, .no_mask = true}},
     2, 5, false,
     {{"input", UNIFORM, 1, 0}, {"offset", NORMAL, 1, 0}, {"mask", NORMAL, 1, 0},
      /* Conv2d's own start: uniform in +-1/sqrt(fan_in) = +-1/sqrt(3 * 3 * 2). */
      {"weight", UNIFORM, 0.4714045f, -0.2357023f}, {"bias", UNIFORM, 0.4714045f, -0.2357023f}}},
};

static bool write_suite(struct vector_file *f, const struct suite *s, struct error *e)
{
    bool ok = true;
    json_open(f->manifest, "attributes", '{');
    ok = vector_attr_double(f, "rtol", s->rtol, e) && vector_attr_double(f, "atol", s->atol, e);
    json_close(f->manifest, '}');
    json_open(f->manifest, "cases", '[');
    for (int i = 0; ok && i < s->shapes; i++) {
        char name[160];
        struct pair p;
        dcn_case_name(&s->shape[i], name, sizeof name);
        if (!dcn_case_new(&s->shape[i], &p, e))
            return false;
        ok = draw_all(&p, s->draw, s->drawn, s->normalised ? 9 : 0, e)
          && vector_write_op(f, name, &p, 1, NULL, e);
        pair_free(&p);
    }
    json_close(f->manifest, ']');
    return ok;
}

bool vectors_recreate(const char *suite, const char *folder, struct error *e)
{
    const struct suite *s = NULL;
    struct vector_folder d;
    struct vector_file f;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (!strcmp(suites[i].name, suite))
            s = &suites[i];
    if (!s)
        return fail(e, EXIT_USAGE, "no suite is called '%s'; there are internimage and torchvision",
                    suite);
    if (!vector_folder_open(&d, folder, e))
        return false;
    bool ok = vector_file_open(&f, &d.manifest, folder, s->name, "ops", e)
           && write_suite(&f, s, e);
    ok = vector_file_close(&f, e) && ok;
    return vector_folder_close(&d, e) && ok;
}
