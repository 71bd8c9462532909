/* The fast side where golden files do not reach: odd image sizes, batches, threads, every
 * style of model, every ISA of this CPU. Judged by verify's rule: at most ENVELOPE_K times
 * what the scalar float reference loses. */
#include "opt/plan.h"
#include "ref/internimage.h"
#include "ref/ref.h"
#include "ref/weights.h"
#include "verify/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model run by the reference in both precisions on seeded numbers. */
static struct pair reference(struct internimage_config *c, int batch, int height, int width)
{
    struct pair p;
    struct error e = {0};
    struct graph *g = internimage_graph(c, batch, height, width, &e);
    if (!g || !pair_new(&p, g, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < g->params; i++) {
        float *v = malloc((size_t)shape_count(&g->param[i].shape) * sizeof *v);
        seeded_parameter(&g->param[i], 5, v);
        pair_set_param(&p, i, v);
        free(v);
    }
    const int64_t count = shape_count(&g->node[0]->shape);
    float *x = malloc((size_t)count * sizeof *x);
    seeded_uniform("image", 5, count, x);
    pair_set_value(&p, g->node[0], x);
    free(x);
    pair_forward(&p, NULL, NULL);
    return p;
}

static void check(struct internimage_config *c, int batch, int height, int width)
{
    struct pair p = reference(c, batch, height, width);
    struct findings found = {0};
    struct error e = {0};
    if (!golden_opt(&p, c->name, NULL, &found, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < found.count; i++)
        if (!found.item[i].pass)
            fail_msg("%s %dx%dx%d %s: %.2e, limit %.2e", found.item[i].unit, batch, height, width,
                     found.item[i].tensor, found.item[i].opt.rel_rms, found.item[i].torch32_limit);
    print_message("  %s %dx%dx%d: %d tensors, %d ISAs skipped\n", c->name, batch, height, width,
                  found.count, found.skipped);
    assert_true(found.count > 0);
    findings_free(&found);
    pair_free(&p);
}

static void odd_sizes_and_batches(void **state)
{
    static const int size[][3] = {{1, 32, 32}, {3, 64, 48}, {1, 97, 131}, {2, 33, 70}, {3, 31, 29}};
    struct internimage_config c;
    (void)state;
    assert_true(internimage_named("pico", &c, NULL));
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        check(&c, size[i][0], size[i][1], size[i][2]);
}

/* Group widths that do and do not fill vectors, windows, both heads, all norms. */
static void every_style(void **state)
{
    struct internimage_config c;
    (void)state;
    assert_true(internimage_named("pico", &c, NULL));
    assert_true(internimage_stack(&c, 32, 16, 1, 2, NULL));     /* one vector of AVX-512 */
    c.layer_scale = c.post_norm = true;
    c.offset_scale = 2;
    check(&c, 2, 64, 48);
    assert_true(internimage_stack(&c, 64, 32, 1, 1, NULL));     /* two */
    c.layer_scale = c.post_norm = false;
    c.res_post_norm = c.center_feature_scale = c.clip_projector = true;
    c.clip_dim = 48;
    c.clip_heads = 3;
    c.clip_out = 20;
    c.dw_kernel_size = 5;
    check(&c, 3, 64, 96);
    assert_true(internimage_stack(&c, 18, 6, 1, 1, NULL));      /* no whole vector */
    c.kernel_size = 5;
    c.dw_kernel_size = 7;
    c.remove_center = true;
    c.clip_projector = false;
    check(&c, 1, 50, 41);
}

/* InternImage-T itself on an odd image. */
static void t_on_an_odd_image(void **state)
{
    struct internimage_config c;
    (void)state;
    assert_true(internimage_named("t", &c, NULL));
    check(&c, 1, 97, 131);
}

/* Shares of the work must not change a bit of the result. */
static void threads_change_nothing(void **state)
{
    struct internimage_config c;
    float *first = NULL;
    (void)state;
    assert_true(internimage_named("pico", &c, NULL));
    struct pair p = reference(&c, 2, 64, 80);
    const struct node *last = p.graph->node[p.graph->nodes - 1];
    const size_t bytes = (size_t)shape_count(&last->shape) * sizeof(float);
    for (int threads = 1; threads <= 5; threads++) {
        struct plan *plan = plan_new(p.graph, p.r32->param,
                                     (struct plan_options){.threads = threads}, NULL);
        float *out = malloc(bytes);
        assert_non_null(plan);
        plan_run(plan, (const float *const *)p.r32->value, out);
        if (first)
            assert_memory_equal(first, out, bytes);
        free(first);
        first = out;
        plan_free(plan);
    }
    free(first);
    pair_free(&p);
}

/* The memory of a T run: weights and three times the largest activation. */
static void memory_is_bounded(void **state)
{
    struct internimage_config c;
    (void)state;
    assert_true(internimage_named("t", &c, NULL));
    struct graph *g = internimage_graph(&c, 1, 224, 224, NULL);
    float **params = calloc((size_t)g->params, sizeof *params);
    int64_t weights = 0, largest = 0;
    for (int i = 0; i < g->params; i++) {
        const int64_t count = shape_count(&g->param[i].shape);
        params[i] = calloc((size_t)count, sizeof(float));
        weights += count * (int64_t)sizeof(float);
    }
    for (int i = 0; i < g->nodes; i++) {
        const int64_t bytes = shape_count(&g->node[i]->shape) * (int64_t)sizeof(float);
        largest = bytes > largest ? bytes : largest;
    }
    struct plan *plan = plan_new(g, params, (struct plan_options){.threads = 2}, NULL);
    assert_non_null(plan);
    print_message("  arena %.1f MB, largest activation %.1f MB, weights %.1f of %.1f MB\n",
                  (double)plan_arena_bytes(plan) / 1e6, (double)largest / 1e6,
                  (double)plan_weight_bytes(plan) / 1e6, (double)weights / 1e6);
    assert_true((int64_t)plan_arena_bytes(plan) <= 3 * largest);
    assert_true((double)plan_weight_bytes(plan) <= 1.01 * (double)weights);
    plan_free(plan);
    for (int i = 0; i < g->params; i++)
        free(params[i]);
    free(params);
    graph_free(g);
}

/* NaN, infinite and huge offsets: the sampled point contributes nothing. */
static void far_offsets(void **state)
{
    enum { H = 5, W = 6, P = 9, CH = 16, TAPS = 9 };
    static const float far[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 3e9f, -1.0f, 6.0f};
    (void)state;
    for (int isa = 0; isa < KERNEL_TABLES; isa++) {
        const struct kernels *k = kernels_at(isa);
        _Alignas(64) float frame[(H + 3) * (W + 4) * CH + 64] = {0}, base_x[16] = {0},
                           base_y[16] = {0}, branch[3 * TAPS + 64] = {0}, scratch[256], out[CH];
        if (!k) {
            print_message("  SKIPPED: no %s on this CPU\n", kernel_names[isa]);
            continue;
        }
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                for (int c = 0; c < CH; c++)
                    frame[((y + 1) * (W + 2) + x + 1) * CH + c] = 1;
        for (int t = 0; t < TAPS; t++) {
            base_x[t] = base_y[t] = 1;
            branch[t] = t < 8 ? far[t] : 2;
            branch[TAPS + t] = 2;
            branch[2 * TAPS + t] = 0.5f;
        }
        struct dcnv3_plan d = {
            .height = H, .width = W, .out_height = 1, .out_width = 1, .groups = 1,
            .group_channels = CH, .points = P, .taps = TAPS, .stride_y = 1, .stride_x = 1,
            .offset_scale = 1, .base_x = base_x, .base_y = base_y,
        };
        k->dcnv3(&d, frame, branch, 3 * TAPS, 0, 1, scratch, out);
        for (int c = 0; c < CH; c++)
            assert_true(out[c] == 0.5f);        /* only the last tap lies inside */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_sizes_and_batches),  cmocka_unit_test(every_style),
        cmocka_unit_test(t_on_an_odd_image),      cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(memory_is_bounded),      cmocka_unit_test(far_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
