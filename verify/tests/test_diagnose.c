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

enum { SEED_SINGLES = 20261124, SEED_PAIRS = 77001, SEED_CORRECT = 41000, PAIRS_PER_OP = 40 };

static double *new_output(const struct random_node *c)
{
    double *v = malloc((size_t)shape_count(&c->node->shape) * sizeof *v);
    assert_non_null(v);
    return v;
}

/* The sloppy implementation without a mistake is the definition. */
static void no_mistake_is_the_reference(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++)
        for (int variant = 0; variant < 2; variant++) {
            if (op == OP_input || op == OP_constant)
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

static void every_mistake_is_named(void **state)
{
    int cases = 0, alone = 0, missed = 0;
    double least = INFINITY;
    (void)state;
    for (int i = 0; i < MISTAKES; i++)
        for (int op = 0; op < OP_COUNT; op++) {
            const struct convention *k = convention_at(i);
            if (!(k->ops >> op & 1) || k->aspect == NORM_PLACE)
                continue;
            struct random_node c = random_node((enum op_kind)op, variant_of(k),
                                               SEED_SINGLES + (uint64_t)(100 * i + op));
            struct replay r;
            double *out = port_output(&c, k, NULL);
            struct replay_case rc = {c.node, &c.args, out, float_limit(&c)};
            if (convention_applies(k, c.node)) {
                assert_true(replay_run(&rc, &r, NULL));
                bool named = r.verdict == VERDICT_NAMED && among_named(&r, k, NULL);
                cases++;
                missed += !named;
                alone += named && r.named == 1;
                least = named ? fmin(least, r.runner_up / fmax(r.item[0].error, 1e-9)) : least;
                if (!named || r.named > 1) {
                    printf("%s on %s: %s;", k->code, ref64_op_row((enum op_kind)op)->name,
                           !named ? "MISSED" : "tied");
                    print_named(&r);
                }
                replay_free(&r);
            }
            free(out);
            random_node_free(&c);
        }
    printf("mistakes named: %d of %d cases, %d of them alone; the runner-up is at least %.0f "
           "times further away\n", cases - missed, cases, alone, least);
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mistake_is_the_reference),
        cmocka_unit_test(every_mistake_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
