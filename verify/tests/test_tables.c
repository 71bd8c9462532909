/* The arithmetic of the paper's tables, against what is printed there. */
#include "verify/tables/tables.h"
#include "verify/train/ablations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct cost cost(const char *model, const char *ablation, int kernel, int size)
{
    struct internimage_config c;
    struct cost out;
    struct error e = {0};
    assert_true(internimage_named(model, &c, &e));
    if (ablation)
        assert_true(ablation_apply(ablation_named(ablation, &e), &c, &e));
    c.kernel_size = kernel ? kernel : c.kernel_size;
    if (!cost_of(&c, size, &out, &e))
        fail_msg("%s", e.text);
    return out;
}

static void agreement_has_three_answers(void **state)
{
    (void)state;
    assert_string_equal(agreement(29.92, 30, 0), "rounds");
    assert_string_equal(agreement(1.0896, 1.08, 2), "truncated");
    assert_string_equal(agreement(1.0896, 1.09, 2), "rounds");
    assert_string_equal(agreement(31.2, 30, 0), "DIFFERS");
    assert_string_equal(agreement(28.9, 30, 0), "DIFFERS");
}

/* Table 9, exact: 30, 37, 48 M and 5, 6, 8 G. */
static void kernel_sizes(void **state)
{
    (void)state;
    assert_int_equal(cost("t", NULL, 3, 224).parameters, 29918424);
    assert_int_equal(cost("t", NULL, 5, 224).parameters, 36989912);
    assert_int_equal(cost("t", NULL, 7, 224).parameters, 47597144);
    assert_int_equal(lround(cost("t", NULL, 3, 224).macs / 1e9), 5);
    assert_int_equal(lround(cost("t", NULL, 5, 224).macs / 1e9), 6);
    assert_int_equal(lround(cost("t", NULL, 7, 224).macs / 1e9), 8);
}

/* Table 11: 97 M, 16 G, 206 G and 146 M, 24 G, 313 G (ours is 1 % below the last). */
static void dcnv2_in_b(void **state)
{
    (void)state;
    assert_int_equal(cost("b", "dcnv2", 0, 224).parameters, 146286211);
    assert_int_equal(lround(cost("b", "dcnv2", 0, 224).macs / 1e9), 24);
    assert_true(fabs(cost("b", "dcnv2", 0, 800).macs / 313e9 - 1) < 0.011);
    assert_int_equal(lround(cost("b", NULL, 0, 800).macs / 1e9), 206);
}

/* Figure 4. Our definition of "unshared" adds 8 C^2 per layer. */
static void sharing(void **state)
{
    struct sharing t, h;
    (void)state;
    assert_true(sharing_of("t", 224, &t, NULL) && sharing_of("h", 224, &h, NULL));
    assert_true(t.unshared - t.shared == 8 * 2310144.0);
    assert_true(h.unshared - h.shared == 8 * 94822400.0);
    assert_true(fabs(t.unshared / t.shared - 1.618) < 5e-4);      /* the paper: 1.661 */
    assert_true(fabs(h.saved - 41.0) < 0.05);                       /* the paper: 42.0 */
    assert_true(fabs(h.memory_saved - 27.3) < 0.05);                /* the paper: 84.2 */
    assert_int_equal(cost("t", "one-group", 0, 224).parameters, 26208786);
}

/* Appendix B. */
static void depths_of_the_search(void **state)
{
    static const struct { int group_channels, channels, depth3[5]; } row[] = {
        {16, 48, {61, 56, 52, 48, 44}}, {16, 64, {31, 27, 22, 18, 14}}, {16, 80, {17, 13, 9, 4, 1}},
        {32, 48, {66, 61, 57, 53, 49}}, {32, 64, {34, 29, 25, 21, 17}}, {32, 80, {19, 15, 10, 6, 2}},
    };
    (void)state;
    for (size_t r = 0; r < sizeof row / sizeof *row; r++)
        for (int depth1 = 1; depth1 <= 5; depth1++) {
            struct internimage_config c;
            assert_true(internimage_named("t", &c, NULL));
            c.channels = row[r].channels;
            for (int i = 0; i < LEVELS; i++) {
                c.groups[i] = (c.channels << i) / row[r].group_channels;
                c.depths[i] = depth1;
            }
            assert_int_equal(depth_for(&c, 30e6, NULL), row[r].depth3[depth1 - 1]);
        }
}

/* Every table prints, and finds its figures in agreement. */
static void every_table_agrees(void **state)
{
    static int (*const table[])(struct error *) = {
        tables_params, tables_models, tables_scaling, tables_stacking, tables_sharing,
        tables_kernel, tables_dcnv2, tables_ablations, tables_learned,
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct error e = {0};
        assert_int_equal(table[i](&e), EXIT_MATCH);
        assert_string_equal(e.text, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement_has_three_answers), cmocka_unit_test(kernel_sizes),
        cmocka_unit_test(dcnv2_in_b), cmocka_unit_test(sharing),
        cmocka_unit_test(depths_of_the_search), cmocka_unit_test(every_table_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
