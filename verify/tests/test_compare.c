/* compare must name exactly the layer that is wrong: dumps of the reference, whole and with
 * mistakes planted in them, against the golden they came from. */
#include "datasets/h5.h"
#include "verify/golden.h"
#include "verify/port/compare.h"
#include "verify/port/dump.h"
#include "verify/port/match.h"
#include "verify/port/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PICO "datasets/goldens/pico.h5"

static char dump_path[256], other_path[256];

static const char *temporary(char *path, const char *name)
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, 256, "%s/internimage-compare-%d%s", folder ? folder : "/tmp", (int)getpid(),
             name);
    return path;
}

/* --- dumps with mistakes -------------------------------------------------------------- */

struct mistake {
    const char *layer;
    void (*values)(const struct node *n, const float *const *in, float *value);
    void (*attributes)(struct attr *a);
};

static void plant(void *context, const struct node *n, const float *const *in, float *value)
{
    const struct mistake *m = context;
    if (m->values && !strcmp(n->name, m->layer))
        m->values(n, in, value);
}

static const char *dump(const char *name, struct mistake m, enum number type, bool nchw)
{
    struct golden_start s;
    struct error e = {0};
    struct dump_options o = {.type = type, .nchw = nchw, .plant = m.layer ? plant : NULL,
                             .context = &m};
    temporary(dump_path, name);
    assert_true(golden_start(PICO, &s, &e));
    if (m.attributes)
        m.attributes(&graph_find(s.graph, m.layer)->attr);
    if (!dump_write(s.graph, s.param, s.image, dump_path, o, &e))
        fail_msg("%s", e.text);
    golden_start_free(&s);
    return dump_path;
}

static void one_nan(const struct node *n, const float *const *in, float *value)
{
    (void)in;
    value[shape_count(&n->shape) / 3] = NAN;
}

static void no_residual(const struct node *n, const float *const *in, float *value)
{
    memcpy(value, in[1], (size_t)shape_count(&n->shape) * sizeof *value);
}

static void swap_pairs(const struct node *n, const float *const *in, float *value)
{
    (void)in;
    for (int64_t i = 0; i + 1 < shape_count(&n->shape); i += 2) {
        float x = value[i];
        value[i] = value[i + 1];
        value[i + 1] = x;
    }
}

static void one_element(const struct node *n, const float *const *in, float *value)
{
    (void)n, (void)in;
    value[7] += 0.01f;
}

/* Less than the rounding of each value, but the same for all. */
static void slightly_more(const struct node *n, const float *const *in, float *value)
{
    (void)in;
    for (int64_t i = 0; i < shape_count(&n->shape); i++)
        value[i] *= 1 + 5e-7f;
}

static void tanh_gelu(const struct node *n, const float *const *in, float *value)
{
    for (int64_t i = 0; i < shape_count(&n->shape); i++) {
        const float x = in[0][i];
        value[i] = x / 2 * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    }
}

static void eps_of_pytorch(struct attr *a) { a->eps = 1e-5; }
static void twice_the_scale(struct attr *a) { a->offset_scale = 2; }
static void softmax_of_all(struct attr *a) { a->points *= 2; }

static const struct mistake mistakes[] = {
    {"levels.0.blocks.0.dcn.core", one_nan, NULL},
    {"levels.1.blocks.0.residual1", no_residual, NULL},
    {"levels.2.blocks.1.norm1.0", NULL, eps_of_pytorch},
    {"levels.0.blocks.0.dcn.input_proj", swap_pairs, NULL},
    {"levels.2.blocks.0.dcn.core", NULL, twice_the_scale},
    {"levels.1.blocks.0.dcn.softmax", NULL, softmax_of_all},
    {"levels.3.blocks.0.mlp.act", tanh_gelu, NULL},
    {"levels.1.downsample.conv", one_element, NULL},
    {"patch_embed.norm2.1", NULL, eps_of_pytorch},
    {"levels.1.norm.0", slightly_more, NULL},
    {"head", one_element, NULL},
};
enum { MISTAKES = sizeof mistakes / sizeof *mistakes };

/* --- comparing ------------------------------------------------------------------------ */

struct outcome {
    char first[NAME_SIZE], sentence[1024];
    int failed, failed_single, compared, span;
    bool permuted;
};

static struct outcome compared(const char *mine, enum number type, struct port_options o)
{
    struct outcome out = {0};
    struct comparison c;
    struct error e = {0};
    struct port *p = port_open(PICO, mine, o, &e);
    if (!p || !compare_run(p, (struct compare_options){.type = type}, &c, &e))
        fail_msg("%s", e.text);
    out.failed = c.failed;
    out.failed_single = c.failed_single;
    out.compared = c.compared;
    out.permuted = port_counts(p).permuted > 50;
    if (c.first >= 0) {
        const struct report r = {.port = p, .result = &c, .type = type};
        strcpy(out.first, c.item[c.first].node->name);
        out.span = c.item[c.first].span;
        report_sentence(&r, &c.item[c.first], out.sentence, sizeof out.sentence);
    }
    compare_free(&c);
    port_close(p);
    return out;
}

static enum exit_code refused(const char *golden, const char *mine, struct port_options o,
                              const char *says)
{
    struct error e = {0};
    assert_null(port_open(golden, mine, o, &e));
    if (!strstr(e.text, says))
        fail_msg("'%s' does not say '%s'", e.text, says);
    return e.code;
}

/* Copies a dump: without some tensors, under other names, flattened. */
struct rewrite {
    const char *drop[4], *prefix;
    bool flat, turned;          /* as [count]; as [N,W,H,C], which is wrong */
};

static const char *rewritten(const char *from, struct rewrite w)
{
    struct error e = {0};
    struct tensor_file *f = tensors_open(from, &e);
    struct h5_file *to = h5_create(temporary(other_path, "-2.h5"), &e);
    assert_true(f && to);
    for (int i = 0; i < tensors_count(f); i++) {
        struct tensor_info t = *tensors_info(f, i);
        char name[TENSOR_NAME_SIZE + 32];
        bool keep = true;
        for (int k = 0; k < 4 && w.drop[k]; k++)
            keep = keep && strcmp(t.name, w.drop[k]);
        if (!keep)
            continue;
        float *values = malloc((size_t)t.count * sizeof *values);
        snprintf(name, sizeof name, "%s%s", w.prefix ? w.prefix : "", t.name);
        int64_t turned[4] = {t.dim[0], t.dim[2], t.dim[1], t.dim[3]};
        assert_true(tensors_read_f32(f, i, 0, t.count, values, &e));
        assert_true(h5_write_f32(to, "", name, w.flat ? 1 : t.rank, w.flat ? &t.count
                                 : w.turned && t.rank == 4 ? turned : t.dim, values, &e));
        free(values);
    }
    tensors_close(f);
    assert_true(h5_close(to, &e));
    return other_path;
}

/* --- tests ---------------------------------------------------------------------------- */

static const struct port_options plain = {0};
static const struct mistake none = {0};

static void a_right_port_passes(void **state)
{
    static const struct { const char *name; bool nchw; } file[] = {
        {".h5", false}, {".npz", false}, {".h5", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        struct outcome o = compared(dump(file[i].name, none, NUMBER_F32, file[i].nchw),
                                    NUMBER_F32, plain);
        assert_int_equal(o.failed, 0);
        assert_int_equal(o.compared, 101);
        assert_int_equal(o.permuted, file[i].nchw);
        if (i < 2)
            remove(dump_path);
    }
    struct outcome o = compared(rewritten(dump_path, (struct rewrite){.flat = true}), NUMBER_F32,
                                plain);
    assert_int_equal(o.failed, 0);      /* either order fits: the values decide */
    assert_true(o.permuted);
}

static void the_wrong_layer_is_named(void **state)
{
    (void)state;
    for (int i = 0; i < MISTAKES; i++) {
        struct outcome o = compared(dump(".h5", mistakes[i], NUMBER_F32, i % 2), NUMBER_F32, plain);
        assert_string_equal(o.first, mistakes[i].layer);
        assert_int_equal(o.failed_single, 1);
        assert_memory_equal(o.sentence, mistakes[i].layer, strlen(mistakes[i].layer));
    }
}

/* Half precision is right in its own envelope and wrong in float32's. */
static void number_types_have_their_own_envelope(void **state)
{
    (void)state;
    for (enum number type = NUMBER_F16; type <= NUMBER_BF16; type++) {
        assert_int_equal(compared(dump(".h5", none, type, false), type, plain).failed, 0);
        struct outcome o = compared(dump_path, NUMBER_F32, plain);
        assert_string_equal(o.first, "input");
        assert_true(o.failed_single > 90);
        o = compared(dump(".h5", mistakes[1], type, false), type, plain);
        assert_string_equal(o.first, mistakes[1].layer);
        assert_int_equal(o.failed_single, 1);
    }
}

/* What is not there is computed from what is: the error shows in the next layer there is. */
static void missing_layers_are_bridged(void **state)
{
    (void)state;
    dump(".h5", mistakes[1], NUMBER_F32, false);
    struct outcome o = compared(rewritten(dump_path, (struct rewrite){
        .drop = {"levels.1.blocks.0.residual1", "levels.1.blocks.0.norm2.0", "input"}}),
        NUMBER_F32, plain);
    assert_string_equal(o.first, "levels.1.blocks.0.mlp.fc1");
    assert_int_equal(o.compared, 98);
    assert_int_equal(o.span, 3);
    assert_true(o.failed_single == 2);  /* the block's second addition takes the residual too */
}

static void names_may_differ(void **state)
{
    char map[256];
    (void)state;
    dump(".h5", none, NUMBER_F32, false);
    const struct rewrite behind = {.prefix = "module.backbone."};
    struct outcome o = compared(rewritten(dump_path, behind), NUMBER_F32, plain);
    assert_int_equal(o.failed, 0);
    assert_int_equal(o.compared, 101);
    rewritten(dump_path, (struct rewrite){.prefix = "student_"});
    assert_int_equal(refused(PICO, other_path, plain, "--map"), EXIT_INCONCLUSIVE);
    o = compared(other_path, NUMBER_F32, (struct port_options){.prefix = "student_"});
    assert_int_equal(o.compared, 101);
    FILE *f = fopen(temporary(map, ".map"), "w");
    fputs("# ours = theirs\nhead = student_head\n\n pool =student_pool # both\n", f);
    fclose(f);
    o = compared(other_path, NUMBER_F32, (struct port_options){.map = map});
    assert_int_equal(o.compared, 2);
    assert_int_equal(o.failed, 0);
    f = fopen(map, "w");
    fputs("head = student_tail\n", f);
    fclose(f);
    assert_int_equal(refused(PICO, other_path, (struct port_options){.map = map}, "line 1"),
                     EXIT_BAD_FILE);
    remove(map);
}

static void wrong_files_are_refused(void **state)
{
    (void)state;
    dump(".h5", none, NUMBER_F32, false);
    assert_int_equal(refused("datasets/goldens/ops.h5", dump_path, plain, "kind 'ops'"),
                     EXIT_BAD_FILE);
    assert_int_equal(refused(dump_path, dump_path, plain, "format"), EXIT_BAD_FILE);
    assert_int_equal(refused(PICO, "README.md", plain, "README.md"), EXIT_BAD_FILE);
    assert_int_equal(refused(PICO, "no such file", plain, "no such file"), EXIT_BAD_FILE);
    struct outcome o = compared(rewritten(dump_path, (struct rewrite){.turned = true}), NUMBER_F32,
                                plain);
    assert_string_equal(o.first, "input");
    assert_non_null(strstr(o.sentence, "its shape is 2x64x3x48"));
}

static void shapes_are_told_apart(void **state)
{
    struct node n = {.op = OP_conv2d, .shape = shape_of(4, (int64_t)1, (int64_t)6, (int64_t)4,
                                                        (int64_t)8)};
    static const struct { int rank; int64_t dim[5]; bool fits, permuted, either; } want[] = {
        {4, {1, 6, 4, 8}, true, false, false}, {4, {1, 8, 6, 4}, true, true, false},
        {3, {6, 4, 8}, true, false, false},    {3, {8, 6, 4}, true, true, false},
        {2, {24, 8}, true, false, false},      {2, {8, 24}, true, true, false},
        {5, {1, 6, 4, 2, 4}, true, false, false}, {1, {192}, true, false, true},
        {4, {1, 4, 6, 8}, false, false, false}, {4, {1, 8, 4, 6}, false, false, false},
        {3, {6, 4, 4}, false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct tensor_info t = {.rank = want[i].rank, .count = 1};
        for (int k = 0; k < t.rank; k++)
            t.count *= t.dim[k] = want[i].dim[k];
        struct port_layer l = match_shape(&n, &t);
        assert_int_equal(l.state == PORT_FITS, want[i].fits);
        assert_int_equal(l.permuted, want[i].permuted);
        assert_int_equal(l.either, want[i].either);
    }
    n.shape = shape_of(4, (int64_t)2, (int64_t)5, (int64_t)5, (int64_t)5);
    struct tensor_info t = {.rank = 4, .dim = {2, 5, 5, 5}, .count = 250};
    assert_true(match_shape(&n, &t).either);
}

static int teardown(void **state)
{
    (void)state;
    remove(other_path);
    return remove(temporary(dump_path, ".h5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_port_passes),
        cmocka_unit_test(the_wrong_layer_is_named),
        cmocka_unit_test(number_types_have_their_own_envelope),
        cmocka_unit_test(missing_layers_are_bridged),
        cmocka_unit_test(names_may_differ),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(shapes_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
