/* The commands diagnose and explain, from files to exit codes: a small model with one mistake
 * planted, one op in a file, right results in three types, and the catalogue's page. */
#include "datasets/npz.h"
#include "datasets/tensors.h"
#include "verify/port/conventions.h"
#include "verify/port/explain.h"
#include "verify/tests/random_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[1 << 16];

/* Runs `internimage ARGUMENTS`, keeps what it prints. */
static int command(const char *format, ...)
{
    char line[1024];
    const char *program = getenv("INTERNIMAGE");
    int used = snprintf(line, sizeof line, "%s ", program ? program : "build/internimage");
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, sizeof line - (size_t)used - 16, format, args);
    va_end(args);
    strcat(line, " 2>&1");
    FILE *f = popen(line, "r");
    assert_non_null(f);
    size_t n = fread(output, 1, sizeof output - 1, f);
    output[n] = 0;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_prints(const char *text)
{
    if (!strstr(output, text))
        fail_msg("'%s' is not in:\n%s", text, output);
}

static char folder[] = "/tmp/test_diagnose.XXXXXX";

/* One mistake, in a layer or in every block of a small model: compare names the layer, diagnose
 * the mistake as well. */
static void planted_in(const char *model, const char *plant, const char *layer, const char *says)
{
    char first[128];
    snprintf(first, sizeof first, "\nfirst divergent layer: %s (", layer);
    assert_int_equal(command("run --golden datasets/goldens/%s.h5 --dump %s/mine.h5 --plant %s",
                             model, folder, plant), 0);
    assert_int_equal(command("compare datasets/goldens/%s.h5 %s/mine.h5", model, folder),
                     EXIT_MISMATCH);
    assert_prints(first);
    assert_int_equal(command("diagnose datasets/goldens/%s.h5 %s/mine.h5", model, folder),
                     EXIT_MISMATCH);
    assert_prints(layer);
    assert_prints(says);
}

static void planted(const char *mistake, const char *layer, const char *says)
{
    char plant[128];
    snprintf(plant, sizeof plant, "%s@%s", mistake, layer);
    planted_in("pico", plant, layer, says);
}

/* In a block drawn at random (seed 8). */
static void in_a_random_block(void **state)
{
    static const char *const blocks[] = {"0.blocks.0", "1.blocks.0", "2.blocks.0", "2.blocks.1",
                                         "3.blocks.0"};
    static const char *const mistakes[] = {"XY02", "KP01", "GR01", "MK06", "BD01", "AC01", "SA01"};
    char layer[64], says[16];
    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        const char *mistake = mistakes[seeded_hash("mistake", i, 8) % 7];
        snprintf(layer, sizeof layer, "levels.%s.dcn.core", blocks[seeded_hash("block", i, 8) % 5]);
        snprintf(says, sizeof says, "\n%s  ", mistake);
        planted(mistake, layer, says);
    }
}

static void a_model_with_one_mistake(void **state)
{
    (void)state;
    planted("XY01", "levels.2.blocks.1.dcn.core", "\nXY01  ");
    planted("LN01", "levels.2.blocks.0.norm1.0", "\nLN01  ");
    planted("MO01", "levels.1.blocks.0.residual1", "\nMO01  ");
    planted("MK04", "levels.2.blocks.1.dcn.softmax", "\nMK04  ");
    planted("PP01", "patch_embed.conv1", "\nPP01  ");
    planted("BD02", "levels.0.blocks.0.dcn.core", "\nBD02  ");
    planted("NAN", "levels.1.norm.0", "1 value is NaN or infinite, the first at [1,0,0,0]");
}

/* mine.h5 without the tensors that are no modules of most ports, as mine.npz. */
static void drop_what_is_no_module(void)
{
    static const char *const dropped[] = {".dcn.core", ".dcn.softmax", ".residual1"};
    char path[64];
    snprintf(path, sizeof path, "%s/mine.h5", folder);
    struct tensor_file *from = tensors_open(path, NULL);
    snprintf(path, sizeof path, "%s/mine.npz", folder);
    struct npz_file *to = npz_create(path, NULL);
    assert_true(from && to);
    for (int i = 0; i < tensors_count(from); i++) {
        const struct tensor_info *t = tensors_info(from, i);
        bool keep = true;
        for (int k = 0; k < 3; k++)
            keep = keep && !strstr(t->name, dropped[k]);
        float *v = malloc((size_t)t->count * sizeof *v);
        assert_true(tensors_read_f32(from, i, 0, t->count, v, NULL));
        assert_true(!keep || npz_write_f32(to, t->name, t->rank, t->dim, v, NULL));
        free(v);
    }
    tensors_close(from);
    assert_true(npz_close(to, NULL));
}

/* A mistake in a layer that the port's file lacks is named from the next one it has. */
static void in_a_layer_that_is_not_there(void **state)
{
    static const struct { const char *code, *layer, *seen_in; } list[] = {
        {"XY01", "levels.2.blocks.1.dcn.core", "levels.2.blocks.1.dcn.output_proj"},
        {"MK01", "levels.0.blocks.0.dcn.softmax", "levels.0.blocks.0.dcn.output_proj"},
        {"BD01", "levels.3.blocks.0.dcn.core", "levels.3.blocks.0.dcn.output_proj"},
        {"MO01", "levels.1.blocks.0.residual1", "levels.1.blocks.0.norm2.0"},
    };
    char says[128];
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        assert_int_equal(command("run --golden datasets/goldens/pico.h5 --dump %s/mine.h5 --plant "
                                 "%s@%s", folder, list[i].code, list[i].layer), 0);
        drop_what_is_no_module();
        assert_int_equal(command("diagnose datasets/goldens/pico.h5 %s/mine.npz", folder),
                         EXIT_MISMATCH);
        assert_memory_equal(strstr(output, "levels."), list[i].seen_in, strlen(list[i].seen_in));
        snprintf(says, sizeof says, "\n%s  ", list[i].code);
        assert_prints(says);
        snprintf(says, sizeof says, "in %s, which MINE lacks", list[i].layer);
        assert_prints(says);
        assert_prints("note: MINE lacks levels.");
    }
    assert_int_equal(command("run --golden datasets/goldens/pico.h5 --dump %s/mine.h5", folder), 0);
    drop_what_is_no_module();
    assert_int_equal(command("diagnose datasets/goldens/pico.h5 %s/mine.npz", folder), EXIT_MATCH);
}

/* Where the norms stand, in each of the four ways to put a block together. */
static void norms_in_another_place(void **state)
{
    (void)state;
    planted_in("pico", "NO01", "levels.0.blocks.0.norm1.0", "\nNO01  ");
    planted_in("pico_s", "NO02", "levels.0.blocks.0.dcn.input_proj", "\nNO02  ");
    planted_in("pico_g", "NO02", "levels.0.blocks.0.dcn.input_proj", "\nNO02  ");
    planted_in("pico_h", "NO03", "levels.0.blocks.0.residual1", "\nNO03  ");
    assert_int_equal(command("run --golden datasets/goldens/pico_h.h5 --dump %s/mine.h5 --plant "
                             "NO02", folder), EXIT_USAGE);
    assert_prints("NO02 cannot befall");
}

static void write_tensor(struct npz_file *f, const char *name, const struct shape *s,
                         const float *v)
{
    assert_true(npz_write_f32(f, name, s->rank, s->dim, v, NULL));
}

/* The golden's image as a port has it that takes BGR: reversed channels, then the constants. */
static void a_wrong_image(void **state)
{
    enum { AREA = 64 * 48 };
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    static float image[2 * 3 * AREA], wrong[2 * 3 * AREA], logits[20];
    const struct shape s = shape_of(4, (int64_t)2, (int64_t)3, (int64_t)64, (int64_t)48);
    const struct shape head = shape_of(2, (int64_t)2, (int64_t)10);
    char path[64];
    (void)state;
    struct tensor_file *from = tensors_open("datasets/goldens/pico.h5", NULL);
    assert_true(tensors_read_f32(from, tensors_find(from, "input"), 0, 6 * AREA, image, NULL));
    tensors_close(from);
    for (int another = 0; another < 2; another++) {
        for (int i = 0; i < 6 * AREA; i++) {
            const int c = i / AREA % 3, other = 2 - c, at = i + (other - c) * AREA;
            const double x = image[at] * deviation[other] + mean[other];
            wrong[i] = (float)((x - mean[c]) / deviation[c]) * (another ? image[i] : 1);
        }
        snprintf(path, sizeof path, "%s/image.npz", folder);
        struct npz_file *f = npz_create(path, NULL);
        write_tensor(f, "input", &s, wrong);
        write_tensor(f, "head", &head, logits);
        assert_true(npz_close(f, NULL));
        assert_int_equal(command("diagnose datasets/goldens/pico.h5 %s", path),
                         another ? EXIT_INCONCLUSIVE : EXIT_MISMATCH);
        assert_prints(another ? "next: feed the golden's `input`" : "\nPP01  ");
    }
}

static void a_right_model(void **state)
{
    (void)state;
    static const char *const types[] = {"fp32", "fp16", "bf16"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(command("run --golden datasets/goldens/pico.h5 --dump %s/right.npz --nchw "
                                 "--dtype %s", folder, types[i]), 0);
        assert_int_equal(command("diagnose datasets/goldens/pico.h5 %s/right.npz --dtype %s",
                                 folder, types[i]), EXIT_MATCH);
        assert_prints("layers are right");
    }
}

/* A file of one DCNv3 call with everything unequal; the port's output under two mistakes, or
 * one that is none of ours. */
static void write_op(const char *path, const struct convention *a, const struct convention *b,
                     bool spoilt, char *options, size_t size)
{
    struct random_node c = random_node(OP_dcnv3, 0, 99);
    const struct attr *t = &c.node->attr;
    double *out = port_output(&c, a, b);
    float *v = c.r32->value[c.node->id];
    const float stride[] = {(float)t->y.stride, (float)t->x.stride};
    const struct shape pair = shape_of(1, (int64_t)2);
    for (int64_t k = 0; k < shape_count(&c.node->shape); k++)
        v[k] = (float)(spoilt ? 0.5 * out[k] * out[k] : out[k]);
    struct npz_file *f = npz_create(path, NULL);
    assert_non_null(f);
    for (int i = 0; i < 3; i++)
        write_tensor(f, c.graph->node[i]->name, &c.graph->node[i]->shape, c.r32->value[i]);
    write_tensor(f, "output", &c.node->shape, v);
    write_tensor(f, "stride", &pair, stride);
    assert_true(npz_close(f, NULL));
    snprintf(options, size, "--kernel %d,%d --pad %d,%d --dilation %d,%d --groups %d "
             "--offset-scale %g", t->y.kernel, t->x.kernel, t->y.pad, t->x.pad, t->y.dilation,
             t->x.dilation, t->groups, t->offset_scale);
    free(out);
    random_node_free(&c);
}

static void one_op_from_a_file(void **state)
{
    char path[64], options[256];
    const struct convention *xy = convention_find("xy01"), *kp = convention_find("KP01");
    (void)state;
    snprintf(path, sizeof path, "%s/op.npz", folder);
    write_op(path, NULL, NULL, false, options, sizeof options);
    assert_int_equal(command("diagnose %s %s", path, options), EXIT_MATCH);
    write_op(path, xy, kp, false, options, sizeof options);
    assert_int_equal(command("diagnose %s %s", path, options), EXIT_MISMATCH);
    assert_prints("\nXY01  ");
    assert_prints("\nKP01  ");
    assert_int_equal(command("diagnose %s %s --json", path, options), EXIT_MISMATCH);
    assert_prints("\"XY01 + KP01\"");
    write_op(path, NULL, NULL, true, options, sizeof options);
    assert_int_equal(command("diagnose %s %s", path, options), EXIT_INCONCLUSIVE);
    assert_prints("near:");
    assert_int_equal(command("diagnose %s --kernel 7", path), EXIT_BAD_FILE);
    assert_int_equal(command("diagnose %s/none.npz", folder), EXIT_BAD_FILE);
    assert_int_equal(command("diagnose %s --op nonsense", path), EXIT_USAGE);
}

/* --- the words --------------------------------------------------------------------------- */

static void every_mistake_has_its_words(void **state)
{
    (void)state;
    for (int i = 0; i < MISTAKES; i++) {
        const struct convention *c = convention_at(i);
        const struct convention_family *f = convention_family(c->family);
        assert_ptr_equal(convention_find(c->code), c);
        assert_true(*c->title && *c->symptom && *c->fix);
        assert_true(strlen(f->story) > 100 && *f->evidence);
        assert_int_equal(f->figure[strlen(f->figure) - 1], '\n');
        if (i % 13)
            continue;                   /* the command for some of them */
        assert_int_equal(command("explain %s", c->code), 0);
        assert_prints(c->title);
    }
    assert_int_equal(command("explain XX99"), EXIT_USAGE);
}

static void the_page_is_up_to_date(void **state)
{
    char *page = NULL;
    size_t size = 0;
    static char stored[1 << 17];
    (void)state;
    FILE *to = open_memstream(&page, &size), *from = fopen("docs/mistakes.md", "r");
    assert_non_null(to);
    assert_non_null(from);
    explain_markdown(to);
    fclose(to);
    stored[fread(stored, 1, sizeof stored - 1, from)] = 0;
    fclose(from);
    if (strcmp(page, stored))
        fail_msg("docs/mistakes.md is stale: make mistakes");
    free(page);
}

static int folder_new(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    char line[128];
    (void)state;
    snprintf(line, sizeof line, "rm -r %s", folder);
    return system(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_with_one_mistake),
        cmocka_unit_test(norms_in_another_place),
        cmocka_unit_test(in_a_random_block),
        cmocka_unit_test(in_a_layer_that_is_not_there),
        cmocka_unit_test(a_wrong_image),
        cmocka_unit_test(a_right_model),
        cmocka_unit_test(one_op_from_a_file),
        cmocka_unit_test(every_mistake_has_its_words),
        cmocka_unit_test(the_page_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, folder_new, folder_remove);
}
