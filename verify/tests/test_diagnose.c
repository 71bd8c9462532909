/* The catalogue of wrong conventions and the search through it: every mistake, and pairs of
 * them, are made on random cases and have to be named; correct results must not be accused.
 * Seeds are stated; no case was chosen by hand. */
#include "verify/port/conventions.h"
#include "verify/port/replay.h"
#include "verify/tests/random_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

enum { SEED_SINGLES = 20261124, SEED_PAIRS = 77001, SEED_CORRECT = 41000, PAIRS_PER_OP = 20 };

static double *new_output(const struct random_node *c)
{
    double *v = malloc((size_t)shape_count(&c->node->shape) * sizeof *v);
    assert_non_null(v);
    return v;
}

/* Ops that the catalogue knows mistakes of; the tests are about those. */
static bool in_catalogue(enum op_kind op)
{
    for (int i = 0; i < MISTAKES; i++)
        if (convention_at(i)->ops >> op & 1)
            return true;
    return false;
}

/* The sloppy implementation without a mistake is the definition. */
static void no_mistake_is_the_reference(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++)
        for (int variant = 0; variant < 2; variant++) {
            if (!in_catalogue((enum op_kind)op))
                continue;
            struct random_node c = random_node((enum op_kind)op, variant, 5 + (uint64_t)op);
            double *out = new_output(&c);
            assert_true(convention_apply(NULL, NULL, c.node, &c.args, out, NULL));
            struct metrics m = measure64(shape_count(&c.node->shape), out,
                                         c.r64->value[c.node->id], NULL, NULL);
            if (!(m.rel_rms <= 1e-14))
                fail_msg("%s: differs by %g", ref64_op_row((enum op_kind)op)->name, m.rel_rms);
            free(out);
            random_node_free(&c);
        }
}

/* A port in float32 that makes the mistake: its result rounded. */
static double *port_output(const struct random_node *c, const struct convention *a,
                           const struct convention *b)
{
    double *out = new_output(c);
    assert_true(convention_apply(a, b, c->node, &c->args, out, NULL));
    for (int64_t i = 0; i < shape_count(&c->node->shape); i++)
        out[i] = (float)out[i];
    return out;
}

static bool among_named(const struct replay *r, const struct convention *a,
                        const struct convention *b)
{
    for (int i = 0; i < r->named; i++)
        if ((r->item[i].first == a && r->item[i].second == b)
            || (r->item[i].first == b && r->item[i].second == a))
            return true;
    return false;
}

static void print_named(const struct replay *r)
{
    char text[32];
    for (int i = 0; i < r->count && i < (r->named ? r->named : 3); i++)
        printf(" %s %.2g", suspect_text(&r->item[i], text, sizeof text), r->item[i].error);
    printf("\n");
}

static int variant_of(const struct convention *c)
{
    return c->id == RC01 || c->aspect == COLOUR;
}

/* A case on which the mistake changes the result: the first such seed from `seed` on. */
static struct random_node case_for(const struct convention *k, enum op_kind op, uint64_t seed,
                                   double **out)
{
    for (int i = 0; i < 50; i++, seed++) {
        struct random_node c = random_node(op, variant_of(k), seed);
        if (convention_applies(k, c.node)) {
            *out = port_output(&c, k, NULL);
            struct metrics m = measure64(shape_count(&c.node->shape), *out,
                                         c.r64->value[c.node->id], NULL, NULL);
            if (m.rel_rms > float_limit(&c))
                return c;
            free(*out);
        }
        random_node_free(&c);
    }
    fail_msg("%s never shows on %s", k->code, ref64_op_row(op)->name);
    return (struct random_node){0};
}

static void every_mistake_is_named(void **state)
{
    int cases = 0, alone = 0, missed = 0;
    double least = INFINITY;
    (void)state;
    for (int i = 0; i < MISTAKES; i++)
        for (int op = 0; op < OP_COUNT; op++) {
            const struct convention *k = convention_at(i);
            double *out = NULL;
            struct replay r;
            if (!(k->ops >> op & 1))
                continue;
            struct random_node c = case_for(k, (enum op_kind)op,
                                            SEED_SINGLES + (uint64_t)(10000 * i + 100 * op), &out);
            struct replay_case rc = {c.node, &c.args, out, float_limit(&c)};
            assert_true(replay_run(&rc, &r, NULL));
            bool named = r.verdict == VERDICT_NAMED && among_named(&r, k, NULL);
            cases++;
            missed += !named;
            alone += named && r.named == 1;
            least = named ? fmin(least, r.runner_up / r.item[0].error) : least;
            if (!named || r.named > 1) {
                printf("%s on %s: %s;", k->code, ref64_op_row((enum op_kind)op)->name,
                       !named ? "MISSED" : "tied");
                print_named(&r);
            }
            replay_free(&r);
            free(out);
            random_node_free(&c);
        }
    printf("%d mistakes, %d cases with the ops they befall: %d named, %d of them alone; the runner-up is at least %.0f "
           "times further away\n", MISTAKES, cases, cases - missed, alone, least);
    assert_int_equal(missed, 0);
}

/* --- pairs ------------------------------------------------------------------------------ */

/* A pair makes sense on a case when both mistakes show on their own and neither hides the
 * other: its result is not the right one, and not that of either alone. */
static bool pair_shows(const struct random_node *c, const struct convention *a,
                       const struct convention *b, const double *out, double limit)
{
    const int64_t count = shape_count(&c->node->shape);
    const struct convention *alone[] = {NULL, a, b};
    double *other = new_output(c);
    bool shows = true;
    for (int i = 0; i < 3; i++) {
        assert_true(convention_apply(alone[i], NULL, c->node, &c->args, other, NULL));
        shows = shows && measure64(count, out, other, NULL, NULL).rel_rms > limit;
    }
    for (int i = 1; i < 3; i++) {
        assert_true(convention_apply(alone[i], NULL, c->node, &c->args, other, NULL));
        shows = shows && measure64(count, other, c->r64->value[c->node->id], NULL, NULL).rel_rms > limit;
    }
    free(other);
    return shows;
}

struct tally {
    int pairs, named, alone, by_single;
};

static void try_pair(const struct random_node *c, const struct convention *a,
                     const struct convention *b, struct tally *t)
{
    double *out = port_output(c, a, b), limit = float_limit(c);
    struct replay_case rc = {c->node, &c->args, out, limit};
    struct replay r;
    if (pair_shows(c, a, b, out, limit)) {
        assert_true(replay_run(&rc, &r, NULL));
        t->pairs++;
        t->named += among_named(&r, a, b);
        t->alone += among_named(&r, a, b) && r.named == 1;
        t->by_single += r.named && !r.item[0].second;
        if (!among_named(&r, a, b)) {
            printf("%s + %s on %s: not named;", a->code, b->code, ref64_op_row(c->node->op)->name);
            print_named(&r);
        }
        replay_free(&r);
    }
    free(out);
}

/* INTERNIMAGE_PAIRS=all tries every pair instead of a sample. */
static void pairs_are_named(void **state)
{
    static const struct { enum op_kind op; int variant; } kinds[] = {
        {OP_dcnv3, 0}, {OP_dcnv3, 1}, {OP_dcnv2, 0}, {OP_conv2d, 0}, {OP_conv2d, 1},
        {OP_dwconv2d, 0}, {OP_layer_norm, 0}, {OP_batch_norm, 0}, {OP_linear, 0},
    };
    const char *how = getenv("INTERNIMAGE_PAIRS");
    const bool all = how && !strcmp(how, "all");
    struct tally sum = {0};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct random_node c = random_node(kinds[k].op, kinds[k].variant, SEED_PAIRS + k);
        struct tally t = {0};
        int sensible = 0;
        for (int i = 0; i < MISTAKES; i++)
            for (int j = i + 1; j < MISTAKES; j++)
                sensible += convention_pair(convention_at(i), convention_at(j), c.node);
        for (int i = 0; i < MISTAKES; i++)
            for (int j = i + 1; j < MISTAKES; j++)
                if (convention_pair(convention_at(i), convention_at(j), c.node)
                    && (all || seeded_hash("pair", (uint64_t)(i * MISTAKES + j), SEED_PAIRS)
                                   % (uint64_t)sensible < PAIRS_PER_OP))
                    try_pair(&c, convention_at(i), convention_at(j), &t);
        printf("%-10s %4d of %4d pairs named, %d of them alone\n",
               ref64_op_row(kinds[k].op)->name, t.named, t.pairs, t.alone);
        sum.pairs += t.pairs;
        sum.named += t.named;
        sum.alone += t.alone;
        random_node_free(&c);
    }
    printf("pairs: %d of %d named (%.1f %%), %d of them alone\n", sum.named, sum.pairs,
           100.0 * sum.named / sum.pairs, sum.alone);
    assert_true(sum.named >= 0.9 * sum.pairs);
}

/* --- the innocent ------------------------------------------------------------------------ */

static void correct_is_never_accused(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        enum op_kind op = i % 3 == 0 ? OP_dcnv3 : i % 3 == 1 ? OP_dcnv2 : (enum op_kind)(i % OP_COUNT);
        if (!in_catalogue(op))
            op = OP_linear;
        struct random_node c = random_node(op, i % 2, SEED_CORRECT + (uint64_t)i);
        const int64_t count = shape_count(&c.node->shape);
        double *out = new_output(&c);
        for (int64_t k = 0; k < count; k++)         /* computed in float32 */
            out[k] = c.r32->value[c.node->id][k];
        struct replay_case rc = {c.node, &c.args, out, float_limit(&c)};
        struct replay r;
        assert_true(replay_run(&rc, &r, NULL));
        assert_int_equal(r.verdict, VERDICT_RIGHT);
        replay_free(&r);
        free(out);
        random_node_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mistake_is_the_reference),
        cmocka_unit_test(every_mistake_is_named),
        cmocka_unit_test(pairs_are_named),
        cmocka_unit_test(correct_is_never_accused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
