/* The statistics of the speed gate against known values, and its verdicts on made-up
 * times whose truth is known. */
#include "verify/bench/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("got %.15g, expected %.15g", got, want);
}

static void medians(void **state)
{
    (void)state;
    near(median_of((double[]){3, 1, 2}, 3), 2, 0);
    near(median_of((double[]){4, 1, 3, 2}, 4), 2.5, 0);
    assert_true(isnan(median_of(NULL, 0)));
}

/* Values of scipy.stats.mannwhitneyu(b, a), 1.16. */
static void mann_whitney_is_scipys(void **state)
{
    const double a[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30},
                 b[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06001, 3.14, 1.2901},
                 c[] = {19, 22, 16, 29, 24}, d[] = {20, 11, 17, 12},
                 t[] = {1, 2, 2, 3, 3, 3, 4, 5}, u[] = {2, 3, 3, 4, 4, 5, 5, 6, 7};
    double v[25], w[25];
    (void)state;
    struct mann_whitney m = mann_whitney(a, 9, b, 9);
    near(m.u, 23, 0);
    near(m.p, 0.13591114767585355, 1e-14);
    m = mann_whitney((double[]){1, 2, 3}, 3, (double[]){4, 5, 6}, 3);
    near(m.u, 9, 0);
    near(m.p, 0.1, 1e-15);
    m = mann_whitney(c, 5, d, 4);
    near(m.u, 3, 0);
    near(m.p, 1.0 / 9, 1e-15);
    m = mann_whitney(t, 8, u, 9);               /* ties: the normal approximation */
    near(m.u, 55, 0);
    near(m.p, 0.06935045438181722, 1e-14);
    for (int i = 0; i < 25; i++) {
        v[i] = (i + 1) * 37 % 101 / 10.0;
        w[i] = (i + 1) * 53 % 97 / 10.0 + 0.5;
    }
    m = mann_whitney(v, 25, w, 25);
    near(m.u, 321.5, 0);
    near(m.p, 0.8689755648444643, 1e-14);
    near(mann_whitney(a, 9, a, 9).p, 1, 0);
}

/* The first of scipy.stats.wilcoxon(log(b / a)); the others counted by hand over all signs. */
static void wilcoxon_is_scipys(void **state)
{
    const double a[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30},
                 b[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06001, 3.14, 1.2901},
                 one[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                 up[] = {1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09, 1.10, 1.11, 1.12};
    (void)state;
    near(wilcoxon(a, b, 9), 0.0546875, 1e-15);
    near(wilcoxon(b, a, 9), 0.0546875, 1e-15);
    near(wilcoxon(one, up, 12), exp2(-11), 1e-18);
    near(wilcoxon(one, (double[]){2, 2, 2, 0.5}, 4), 10.0 / 16, 1e-15);     /* all tied */
    near(wilcoxon(one, (double[]){1, 1, 2, 4, 8}, 5), 2.0 / 8, 1e-15);      /* two equal */
    near(wilcoxon(one, one, 9), 1, 0);
    near(wilcoxon(one, one, 0), 1, 0);
}

/* About log-normal around `scale`, spread 2 %. */
static double noisy(double scale)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (double)rand() / RAND_MAX;
    return scale * exp(0.02 * (sum - 6));
}

static void bootstrap_covers(void **state)
{
    enum { TRIALS = 200, ROUNDS = 15 };
    int inside[2] = {0};
    (void)state;
    srand(7);
    for (int trial = 0; trial < TRIALS; trial++) {
        double a[ROUNDS], b[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            a[i] = noisy(1);
            b[i] = noisy(1.1);
        }
        for (int paired = 0; paired < 2; paired++) {
            struct effect f = effect_of(a, ROUNDS, b, ROUNDS, paired, 0.95, 1);
            assert_true(f.low <= f.ratio && f.ratio <= f.high);
            inside[paired] += f.low <= 1.1 && 1.1 <= f.high;
        }
    }
    print_message("  95 %% intervals contain the truth: %d and %d of %d\n", inside[0], inside[1],
                  (int)TRIALS);
    for (int paired = 0; paired < 2; paired++)
        assert_in_range(inside[paired], TRIALS * 90 / 100, TRIALS * 99 / 100);
}

static void bootstrap_scales(void **state)
{
    double a[10], b[10], twice[10];
    (void)state;
    srand(3);
    for (int i = 0; i < 10; i++) {
        a[i] = noisy(1);
        b[i] = noisy(1);
        twice[i] = 2 * b[i];
    }
    struct effect one = effect_of(a, 10, b, 10, false, 0.99, 1);
    struct effect two = effect_of(a, 10, twice, 10, false, 0.99, 1);
    near(two.low, 2 * one.low, 0);
    near(two.high, 2 * one.high, 0);
    one = effect_of(a, 10, a, 10, true, 0.99, 1);
    near(one.low, 1, 0);
    near(one.high, 1, 0);
}

/* Ten rounds each; `scale`: head over base; drift: both slow down together. */
static enum verdict verdict_of(double scale, double drift, bool paired)
{
    struct gates list = {0};
    struct gate *g = gates_add(&list);
    assert_non_null(g);
    g->paired = paired;
    for (int i = 0; i < 10; i++) {
        g->view[0].base[g->base_rounds++] = noisy(1 + drift * i);
        g->view[0].head[g->head_rounds++] = noisy(scale * (1 + drift * i));
    }
    gates_judge(&list, 0.03);
    const enum verdict v = list.item[0].verdict;
    gates_free(&list);
    return v;
}

static void verdicts_are_right(void **state)
{
    int wrong = 0, noise = 0;
    (void)state;
    srand(11);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(verdict_of(1.15, 0, true), VERDICT_SLOWER);
        assert_int_equal(verdict_of(1 / 1.15, 0, true), VERDICT_FASTER);
        const enum verdict v = verdict_of(1, 0.02, i % 2);
        wrong += v == VERDICT_SLOWER || v == VERDICT_FASTER;
        noise += verdict_of(1, 0, true) == VERDICT_NOISE;
    }
    assert_true(wrong <= 1);
    assert_true(noise > 0);
}

/* Head over base in terms of two yardsticks. */
static enum verdict verdict_of_views(double first, double second)
{
    struct gates list = {0};
    struct gate *g = gates_add(&list);
    assert_non_null(g);
    g->views = 2;
    g->base_rounds = g->head_rounds = 10;
    for (int i = 0; i < 10; i++) {
        g->view[0].base[i] = noisy(1);
        g->view[1].base[i] = noisy(1);
        g->view[0].head[i] = noisy(first);
        g->view[1].head[i] = noisy(second);
    }
    gates_judge(&list, 0.03);
    assert_true(g->effect.low <= g->effect.ratio && g->effect.ratio <= g->effect.high);
    near(g->effect.ratio, fabs(log(first)) < fabs(log(second)) ? first : second, 0.04);
    const enum verdict v = g->verdict;
    gates_free(&list);
    return v;
}

/* A neighbour slows the case by 30 % more than one yardstick, by 15 % less than the other. */
static void views_must_agree(void **state)
{
    (void)state;
    srand(5);
    assert_int_equal(verdict_of_views(1.3, 0.85), VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_of_views(0.85, 1.3), VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_of_views(1.3, 1), VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_of_views(1.3, 1.15), VERDICT_SLOWER);
    assert_int_equal(verdict_of_views(0.85, 0.75), VERDICT_FASTER);
}

static void exit_codes(void **state)
{
    struct gates list = {0};
    (void)state;
    assert_int_equal(gates_exit(&list), EXIT_INCONCLUSIVE);
    gates_add(&list)->verdict = VERDICT_NOISE;
    gates_add(&list)->verdict = VERDICT_FASTER;
    assert_int_equal(gates_exit(&list), EXIT_MATCH);
    struct gate *g = gates_add(&list);
    g->verdict = VERDICT_INCONCLUSIVE;
    list.margin = 0.03;
    g->effect.high = 1.02;              /* a bit faster or the same: not slower in any case */
    assert_int_equal(gates_exit(&list), EXIT_MATCH);
    g->effect.high = 1.04;
    assert_int_equal(gates_exit(&list), EXIT_INCONCLUSIVE);
    gates_add(&list)->verdict = VERDICT_SLOWER;
    gates_add(&list)->verdict = VERDICT_NOISE;
    assert_int_equal(gates_exit(&list), EXIT_MISMATCH);
    gates_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians),          cmocka_unit_test(mann_whitney_is_scipys),
        cmocka_unit_test(wilcoxon_is_scipys),
        cmocka_unit_test(bootstrap_covers), cmocka_unit_test(bootstrap_scales),
        cmocka_unit_test(verdicts_are_right), cmocka_unit_test(views_must_agree),
        cmocka_unit_test(exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
