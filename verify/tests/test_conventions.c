/* The catalogue of wrong conventions and the search through it: every mistake, and pairs of
 * them, are made on random cases and have to be named; correct results must not be accused.
 * Seeds are stated; no case was chosen by hand. */
#include "verify/port/number.h"
#include "verify/port/replay.h"
#include "verify/tests/random_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

enum { SEED_SINGLES = 20261124, SEED_PAIRS = 77001, SEED_CORRECT = 41000, PAIRS_PER_OP = 20 };

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

/* --- made another way -------------------------------------------------------------------
 *
 * The reference itself, on data or shapes changed so that it makes the mistake: what the
 * sloppy implementation does must be that. */

static struct dcnv3_shape shape_of_node(const struct node *n)
{
    const int64_t *in = n->in[0]->shape.dim;
    const struct attr *a = &n->attr;
    return (struct dcnv3_shape){
        .batch = (int)in[0], .height = (int)in[1], .width = (int)in[2],
        .out_height = (int)n->shape.dim[1], .out_width = (int)n->shape.dim[2],
        .groups = a->groups, .group_channels = (int)in[3] / a->groups, .y = a->y, .x = a->x,
        .offset_scale = a->offset_scale,
    };
}

static void exchange(int *a, int *b)
{
    int t = *a;
    *a = *b;
    *b = t;
}

/* The reference's offsets and mask at which it does what the port does at the real ones. */
static void change_data(enum mistake m, const struct dcnv3_shape *s, const double *offset,
                        const double *mask, double *o, double *k)
{
    const int points = dcnv3_points(s), sets = s->groups * points;
    for (int64_t q = 0; q < (int64_t)s->batch * s->out_height * s->out_width; q++)
        for (int i = 0; i < sets; i++) {
            const int g = i / points, p = i % points;
            const int column = p / s->y.kernel, row = p % s->y.kernel;
            const int other = row * s->x.kernel + column;
            const int from = m == KP01 ? g * points + other : m == GR01 ? p
                           : m == GR03 ? p * s->groups + g : i;
            const int from_mask = m == KP06 ? g * points + other : from;
            for (int axis = 0; axis < 2; axis++) {
                int64_t at = 2 * from + (m == XY01 ? 1 - axis : axis);
                at = m == XY02 ? (2 * g + axis) * points + p : m == XY03 ? axis * sets + i : at;
                o[(q * sets + i) * 2 + axis] = offset[q * sets * 2 + at] * (m == XY04 ? -1 : 1);
            }
            k[q * sets + i] = m == MK06 ? 1 : mask[q * sets + from_mask] * (m == MK09 ? 2 : 1);
        }
}

static void made_another_way(void **state)
{
    static const enum mistake mistakes[] = {
        XY01, XY02, XY03, XY04, KP01, KP06, GR01, GR03, MK06, MK09, AS11, AS12, AS21, AS23, AS24,
        AS31, AS34, AS41, SC01, SC02, SC03,
    };
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct random_node c = random_node(OP_dcnv3, 0, 31 + i);
        struct dcnv3_shape s = shape_of_node(c.node);
        const int64_t sets = shape_count(&c.node->in[2]->shape);
        const int64_t count = shape_count(&c.node->shape);
        double *o = malloc((size_t)sets * 2 * sizeof *o), *k = malloc((size_t)sets * sizeof *k);
        double *want = new_output(&c), *have = new_output(&c);
        change_data(mistakes[i], &s, c.args.in[1], c.args.in[2], o, k);
        const double scale = s.offset_scale;
        switch (mistakes[i]) {
        case AS11: exchange(&s.y.stride, &s.x.stride); break;
        case AS12: s.x.stride = s.y.stride; break;
        case AS21: exchange(&s.y.pad, &s.x.pad); break;
        case AS23: s.y.pad = s.x.pad; break;
        case AS24: s.y.pad = s.x.pad = 0; break;
        case AS31: exchange(&s.y.dilation, &s.x.dilation); break;
        case AS34: s.y.dilation = s.x.dilation = 1; break;
        case AS41: exchange(&s.y.kernel, &s.x.kernel); break;
        case SC01: s.offset_scale = 1; break;
        default: break;
        }
        for (int64_t j = 0; j < sets * 2; j++)
            o[j] *= mistakes[i] == SC02 ? scale : mistakes[i] == SC03 ? 1 / scale : 1;
        ref64_dcnv3_forward(&s, c.args.in[0], o, k, want);
        const struct convention *m_i = convention_at(mistakes[i]);
        assert_true(convention_apply(m_i, NULL, c.node, &c.args, have, NULL));
        struct metrics m = measure64(count, have, want, NULL, NULL);
        if (!(m.rel_rms <= 1e-12))
            fail_msg("%s: differs by %g", convention_at(mistakes[i])->code, m.rel_rms);
        free(o), free(k), free(want), free(have);
        random_node_free(&c);
    }
}

/* The offset branch of a strided layer left at stride 1: the reference's result at stride 1,
 * its memory in NCHW (depthwise: NHWC) taken for the strided one's. */
static void an_offset_branch_without_the_stride(void **state)
{
    (void)state;
    for (int depthwise = 0; depthwise < 2; depthwise++) {
        const enum op_kind op = depthwise ? OP_dwconv2d : OP_conv2d;
        struct random_node c = random_node(op, 0, 91);
        struct attr a = c.node->attr;
        struct graph *g = graph_new();
        struct node *x = graph_input(g, "input", c.node->in[0]->shape);
        a.y.stride = a.x.stride = 1;
        const struct node *wide = graph_add(g, op, "op", a, &x, 1);
        struct ref64_run *r = ref64_run_new(g, NULL);
        const int64_t *from = wide->shape.dim, *to = c.node->shape.dim;
        const int64_t count = shape_count(&c.node->shape);
        double *memory = malloc((size_t)shape_count(&wide->shape) * sizeof *memory);
        double *want = new_output(&c), *have = new_output(&c);
        memcpy(r->value[0], c.args.in[0], (size_t)shape_count(&x->shape) * sizeof *want);
        for (int i = 0; i < g->params; i++)
            memcpy(r->param[i], c.args.param[i],
                   (size_t)shape_count(&g->param[i].shape) * sizeof *want);
        ref64_run_forward(r, NULL, NULL);
        ref64_transpose((int)from[0], from[1] * from[2], from[3], r->value[1], memory);
        ref64_transpose((int)to[0], to[3], to[1] * to[2], memory, want);
        if (depthwise)
            memcpy(want, r->value[1], (size_t)count * sizeof *want);
        assert_true(convention_apply(convention_at(IO01), NULL, c.node, &c.args, have, NULL));
        assert_true(measure64(count, have, want, NULL, NULL).rel_rms <= 1e-14);
        assert_true(measure64(count, have, c.r64->value[c.node->id], NULL, NULL).rel_rms > 0.1);
        free(memory), free(want), free(have);
        ref64_run_free(r);
        graph_free(g);
        random_node_free(&c);
    }
}

/* A port whose arithmetic is worse than float32, 20 times what is allowed: its mistake is
 * named all the same, and without one it is not accused of any. */
static void rounding_hides_no_mistake(void **state)
{
    static const enum mistake mistakes[] = {XY01, KP01, AC01, BD01, SC03, MISTAKES};
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct random_node c = random_node(OP_dcnv3, 0, 57 + i);
        const struct convention *k = mistakes[i] < MISTAKES ? convention_at(mistakes[i]) : NULL;
        const int64_t count = shape_count(&c.node->shape);
        double *out = port_output(&c, k, NULL), limit = float_limit(&c);
        const double noise = 20 * limit * root_mean_square(count, out);
        for (int64_t j = 0; j < count; j++)
            out[j] += noise * ((double)(seeded_hash("noise", (uint64_t)j, i) >> 11) * 0x1p-52 - 1);
        struct replay_case rc = {c.node, &c.args, out, limit};
        struct replay r;
        assert_true(replay_run(&rc, &r, NULL));
        assert_int_equal(r.verdict, k ? VERDICT_NAMED : VERDICT_UNKNOWN);
        assert_true(!k || (r.named == 1 && r.item[0].first == k && r.loose));
        replay_free(&r);
        free(out);
        random_node_free(&c);
    }
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
    printf("%d mistakes, %d cases with the ops they befall: %d named, %d of them alone; the "
           "runner-up is at least %.0f times further away\n", MISTAKES, cases, cases - missed, alone, least);
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
        struct metrics m = measure64(count, other, c->r64->value[c->node->id], NULL, NULL);
        shows = shows && m.rel_rms > limit;
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

/* A port in the type: inputs and parameters rounded to it, float32 inside, the result rounded
 * again. The port's file holds the rounded inputs; what may be lost is measured on them. */
static void run_in(struct random_node *c, enum number type, double *out, double *limit)
{
    const int64_t count = shape_count(&c->node->shape);
    float *result = c->r32->value[c->node->id];
    for (int i = 0; i < c->graph->nodes; i++) {
        const int64_t values = shape_count(&c->graph->node[i]->shape);
        if (c->graph->node[i]->op != OP_input)
            continue;
        number_round(type, values, c->r32->value[i]);
        for (int64_t k = 0; k < values; k++)
            c->r64->value[i][k] = c->r32->value[i][k];
    }
    for (int i = 0; i < c->graph->params; i++)
        number_round(type, shape_count(&c->graph->param[i].shape), c->r32->param[i]);
    ref32_run_forward(c->r32, NULL, NULL);
    ref64_run_forward(c->r64, NULL, NULL);
    number_round(type, count, result);
    for (int64_t k = 0; k < count; k++)
        out[k] = result[k];
    struct metrics m = measure32(count, result, c->r64->value[c->node->id], NULL, NULL);
    *limit = ENVELOPE_K * fmax(m.rel_rms, number_floor(type));
}

/* In float32 the port is the reference's float build; in the others the port may also sum in
 * another order, here in double, and round the result only. */
static void correct_is_never_accused(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        enum number type = i < 100 ? NUMBER_F32 : NUMBER_F16;
        enum op_kind op = i % 3 == 0 ? OP_dcnv3 : i % 3 == 1 ? OP_dcnv2
                        : (enum op_kind)(i % OP_COUNT);
        if (!in_catalogue(op))
            op = OP_linear;
        struct random_node c = random_node(op, i % 2, SEED_CORRECT + (uint64_t)i);
        double *out = new_output(&c), limit;
        run_in(&c, type, out, &limit);
        for (int64_t k = 0; i % 4 == 3 && k < shape_count(&c.node->shape); k++) {
            float exact = (float)c.r64->value[c.node->id][k];
            number_round(type, 1, &exact);
            out[k] = exact;
        }
        struct replay_case rc = {c.node, &c.args, out, limit};
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
        cmocka_unit_test(made_another_way),
        cmocka_unit_test(an_offset_branch_without_the_stride),
        cmocka_unit_test(rounding_hides_no_mistake),
        cmocka_unit_test(every_mistake_is_named),
        cmocka_unit_test(pairs_are_named),
        cmocka_unit_test(correct_is_never_accused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
