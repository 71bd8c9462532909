/* What the analyses are made of: warped images, and gradients from inside of a network. */
#include "opt/trainer.h"
#include "ref/weights.h"
#include "verify/commands.h"
#include "verify/train/specimen.h"
#include "verify/train/warp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 9 };

static const unsigned char *random_image(void)
{
    static unsigned char image[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        image[i] = (unsigned char)seeded_hash("image", (uint64_t)i, 1);
    return image;
}

static void warps_move_pixels(void **state)
{
    (void)state;
    const unsigned char *from = random_image();
    unsigned char same[SIDE * SIDE], moved[SIDE * SIDE], turned[SIDE * SIDE], large[SIDE * SIDE];
    warp_image(&(struct warp){.scale = 1}, 1, SIDE, SIDE, from, same);
    warp_image(&(struct warp){.dx = 2, .dy = 1, .scale = 1}, 1, SIDE, SIDE, from, moved);
    warp_image(&(struct warp){.degrees = 90, .scale = 1}, 1, SIDE, SIDE, from, turned);
    warp_image(&(struct warp){.scale = 2}, 1, SIDE, SIDE, from, large);
    assert_memory_equal(same, from, SIDE * SIDE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const int old = y >= 1 && x >= 2 ? from[(y - 1) * SIDE + x - 2] : 0;
            assert_int_equal(moved[y * SIDE + x], old);
            /* anticlockwise: the right edge becomes the top one */
            assert_true(abs(turned[y * SIDE + x] - from[x * SIDE + SIDE - 1 - y]) <= 1);
        }
    assert_int_equal(large[4 * SIDE + 4], from[4 * SIDE + 4]);
    assert_int_equal(large[4 * SIDE + 6], from[4 * SIDE + 5]);
    assert_int_equal(large[0], from[2 * SIDE + 2]);
}

/* The middle feature of level 1, summed over its channels. */
static double middle(struct ref64_run *r, const struct node *n)
{
    const struct shape *f = &n->shape;
    double sum = 0;
    ref64_run_forward(r, NULL, NULL);
    for (int64_t c = 0; c < f->dim[3]; c++)
        sum += r->value[n->id][(f->dim[1] / 2 * f->dim[2] + f->dim[2] / 2) * f->dim[3] + c];
    return sum;
}

static void gradients_from_inside(void **state)
{
    (void)state;
    const struct specimen_options o = {.model = "pico", .init = "seeded",
                                       .image = "datasets/photo/astronaut_224.ppm"};
    struct specimen s;
    struct error e = {0};
    assert_true(specimen_open(&s, &o, &e));
    struct graph *g = internimage_graph(&s.config, 1, 32, 32, &e);
    struct trainer *t = trainer_new(g, (struct trainer_options){0}, &e);
    if (!t && e.code == EXIT_NOT_BUILT)
        skip();
    struct ref64_run *r = ref64_run_new(g, &e);
    const struct node *n = graph_find(g, "levels.1.norm.0");
    float *one = calloc((size_t)shape_count(&n->shape), sizeof *one);
    for (int64_t c = 0; c < n->shape.dim[3]; c++)
        one[(2 * 4 + 2) * n->shape.dim[3] + c] = 1;
    for (int i = 0; i < g->params; i++)
        for (int64_t k = 0; k < shape_count(&g->param[i].shape); k++)
            r->param[i][k] = trainer_run(t)->param[i][k] = s.params[i][k];
    for (int i = 0; i < 3 * 32 * 32; i++)
        r->value[0][i] = trainer_run(t)->value[0][i] = s.image[i % 3 * 224 * 224 + i];
    trainer_forward(t);
    assert_true(trainer_backward_from(t, n, one, &e));
    double error = 0, norm = 0;
    for (int i = 0; i < 3 * 32 * 32; i += 97) {
        const double h = 1e-6, keep = r->value[0][i];
        r->value[0][i] = keep + h;
        double numeric = middle(r, n);
        r->value[0][i] = keep - h;
        numeric = (numeric - middle(r, n)) / (2 * h);
        r->value[0][i] = keep;
        error += pow(numeric - trainer_run(t)->d_value[0][i], 2);
        norm += numeric * numeric;
    }
    assert_true(norm > 0);
    assert_true(sqrt(error / norm) < 1e-4);
    free(one);
    ref64_run_free(r);
    trainer_free(t);
    graph_free(g);
    specimen_close(&s);
}

static int run(int (*command)(int, char **, struct error *), int argc, char **argv, struct error *e)
{
    *e = (struct error){0};
    const int code = command(argc, argv, e);
    return e->text[0] ? (int)e->code : code;
}

static void nonsense_is_refused(void **state)
{
    struct error e;
    (void)state;
    assert_int_equal(run(cmd_erf, 1, (char *[]){"--init=none"}, &e), EXIT_USAGE);
    assert_int_equal(run(cmd_erf, 1, (char *[]){"--images=none"}, &e), EXIT_USAGE);
    assert_int_equal(run(cmd_erf, 1, (char *[]){"--weights=nowhere.h5"}, &e), EXIT_BAD_FILE);
    char sampling[] = "sampling", stage[] = "--stage=5", pixel[] = "--pixel=0.5,1";
    assert_int_equal(run(cmd_plot, 2, (char *[]){sampling, stage}, &e), EXIT_USAGE);
    assert_int_equal(run(cmd_plot, 2, (char *[]){sampling, pixel}, &e), EXIT_USAGE);
    assert_int_equal(run(cmd_robustness, 1, (char *[]){"--data=fashion-mnist"}, &e), EXIT_USAGE);
    assert_int_equal(run(cmd_robustness, 2, (char *[]){"--data=mnist", "w.h5"}, &e), EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warps_move_pixels), cmocka_unit_test(gradients_from_inside),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
