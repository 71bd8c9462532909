/* convert: every layout to every other and back; DCNv3 is DCNv2 on the converted tensors;
 * a model that gives its middle points no weight is the same without them. */
#include "verify/port/convert.h"

#include "datasets/h5.h"
#include "datasets/weights_file.h"
#include "ref/ref.h"
#include "ref/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 2, H = 7, W = 9, C = 6, GROUPS = 2 };

static struct convert_window window(bool remove_center)
{
    return (struct convert_window){.kernel_h = 3, .kernel_w = 5, .dilation_h = 2, .dilation_w = 1,
                                   .offset_scale = 1.5, .remove_center = remove_center};
}

static void seeded(const char *name, int64_t count, double scale, double center, double *out)
{
    float *v = malloc((size_t)count * sizeof *v);
    assert_non_null(v);
    seeded_uniform(name, 1, count, v);
    for (int64_t i = 0; i < count; i++)
        out[i] = center + scale * v[i];
    free(v);
}

/* Random DCNv3 tensors for 2x3 output pixels. */
static void dcnv3_tensors(const struct convert_window *w, int64_t height, int64_t width,
                          struct array *offset, struct array *mask)
{
    const int64_t sets = GROUPS * (w->kernel_h * w->kernel_w - w->remove_center);
    assert_true(array_new(offset, 4, (int64_t[]){N, height, width, 2 * sets}, NULL));
    assert_true(array_new(mask, 4, (int64_t[]){N, height, width, sets}, NULL));
    seeded("offset", array_count(offset), 3, 0, offset->data);
    seeded("mask", array_count(mask), 0.45, 0.5, mask->data);
}

static double distance(const struct array *a, const struct array *b)
{
    double most = 0;
    assert_int_equal(array_count(a), array_count(b));
    for (int64_t i = 0; i < array_count(a); i++)
        most = fmax(most, fabs(a->data[i] - b->data[i]));
    return most;
}

static void drop(struct array *first, struct array *mask)
{
    free(first->data);
    free(mask->data);
}

static void convert(enum convention_layout from, enum convention_layout to,
                    const struct convert_window *w, const struct array *first,
                    const struct array *mask, struct array *to_first, struct array *to_mask)
{
    struct taps t;
    struct error e = {0};
    if (!taps_from(&t, from, w, first, mask->data ? mask : NULL, &e)
        || !taps_to(&t, to, w, to_first, to_mask, &e))
        fail_msg("%s to %s: %s", layout_names[from], layout_names[to], e.text);
    taps_free(&t);
}

/* conv_offset holds no mask of 0, so no removed centre. */
static void every_way_and_back(void **state)
{
    (void)state;
    for (int rc = 0; rc < 2; rc++) {
        const struct convert_window w = window(rc);
        struct array offset, mask;
        dcnv3_tensors(&w, 3, 2, &offset, &mask);
        for (int a = 0; a < LAYOUTS; a++)
            for (int b = 0; b < LAYOUTS; b++) {
                struct array to[3], to_mask[3];
                if (rc && (a == LAYOUT_CONV_OFFSET || b == LAYOUT_CONV_OFFSET))
                    continue;
                convert(LAYOUT_DCNV3, a, &w, &offset, &mask, &to[0], &to_mask[0]);
                convert(a, b, &w, &to[0], &to_mask[0], &to[1], &to_mask[1]);
                convert(b, LAYOUT_DCNV3, &w, &to[1], &to_mask[1], &to[2], &to_mask[2]);
                assert_true(distance(&offset, &to[2]) < 1e-14 * 16);
                assert_true(distance(&mask, &to_mask[2]) < 1e-14);
                for (int i = 0; i < 3; i++)
                    drop(&to[i], &to_mask[i]);
            }
        drop(&offset, &mask);
    }
}

/* The result of both operators on the same image, in double. */
static double difference_of_operators(const struct convert_window *w, const struct array *offset,
                                      const struct array *mask, const struct array *offset2,
                                      const struct array *mask2)
{
    const struct window y = {w->kernel_h, 2, 3, w->dilation_h};
    const struct window x = {w->kernel_w, 1, 1, w->dilation_w};
    const int ho = window_positions(H, y), wo = window_positions(W, x);
    const struct dcnv3_shape s3 = {
        .batch = N, .height = H, .width = W, .out_height = ho, .out_width = wo, .groups = GROUPS,
        .group_channels = C / GROUPS, .y = y, .x = x, .remove_center = w->remove_center,
        .offset_scale = w->offset_scale,
    };
    const struct dcnv2_shape s2 = {
        .batch = N, .in_channels = C, .height = H, .width = W, .out_channels = C,
        .out_height = ho, .out_width = wo, .groups = C, .offset_groups = GROUPS, .y = y, .x = x,
    };
    const size_t in = (size_t)N * H * W * C, out = (size_t)N * ho * wo * C;
    double *image = calloc(in, sizeof *image), *moved = calloc(in, sizeof *moved);
    double *y3 = calloc(out, sizeof *y3), *y2 = calloc(out, sizeof *y2);
    double *back = calloc(out, sizeof *back);
    double ones[C * 63];
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        ones[i] = 1;
    seeded("image", (int64_t)in, 1, 0, image);
    swap_last(N, H * W, C, image, moved);
    ref64_dcnv3_forward(&s3, image, offset->data, mask->data, y3);
    ref64_dcnv2_forward(&s2, moved, offset2->data, mask2->data, ones, NULL, y2);
    swap_last(N, C, ho * wo, y2, back);
    double most = 0, size = 0;
    for (size_t i = 0; i < out; i++) {
        most = fmax(most, fabs(y3[i] - back[i]));
        size = fmax(size, fabs(y3[i]));
    }
    assert_true(size > 0.1);
    free(image), free(moved), free(y3), free(y2), free(back);
    return most;
}

static void dcnv3_is_dcnv2_on_converted_tensors(void **state)
{
    (void)state;
    for (int rc = 0; rc < 2; rc++) {
        const struct convert_window w = window(rc);
        struct array offset, mask, offset2, mask2;
        dcnv3_tensors(&w, 5, 7, &offset, &mask);    /* what the windows below give */
        convert(LAYOUT_DCNV3, LAYOUT_DCNV2, &w, &offset, &mask, &offset2, &mask2);
        assert_true(difference_of_operators(&w, &offset, &mask, &offset2, &mask2) < 1e-13);
        for (int i = 0; i < 5 * 7; i++)     /* y of the first tap */
            offset2.data[i] += 0.01;
        assert_true(difference_of_operators(&w, &offset, &mask, &offset2, &mask2) > 1e-6);
        drop(&offset, &mask);
        drop(&offset2, &mask2);
    }
}

/* One value of each layout, its place worked out by hand: kernel 2 high, 3 wide, 2 groups;
 * group 1, row 1, column 0: columns first p = 1, rows first k = 3. */
static void places_by_hand(void **state)
{
    const struct convert_window w = {2, 3, 1, 1, 1, false, 0};
    struct array offset, mask, to, to_mask;
    (void)state;
    assert_true(array_new(&offset, 4, (int64_t[]){1, 1, 1, 24}, NULL));
    assert_true(array_new(&mask, 4, (int64_t[]){1, 1, 1, 12}, NULL));
    for (int i = 0; i < 12; i++)
        mask.data[i] = 0.5;
    offset.data[2 * (6 + 1)] = 7;       /* x */
    offset.data[2 * (6 + 1) + 1] = -4;  /* y */
    mask.data[6 + 1] = 0.25;
    convert(LAYOUT_DCNV3, LAYOUT_DCNV2, &w, &offset, &mask, &to, &to_mask);
    assert_true(to.data[2 * (6 + 3)] == -4 && to.data[2 * (6 + 3) + 1] == 7);
    assert_true(to_mask.data[6 + 3] == 0.25);
    drop(&to, &to_mask);
    convert(LAYOUT_DCNV3, LAYOUT_CONV_OFFSET, &w, &offset, &mask, &to, &to_mask);
    assert_int_equal(to.dim[1], 36);
    assert_true(to.data[2 * (6 + 3)] == -4 && fabs(to.data[24 + 6 + 3] + log(3)) < 1e-15);
    drop(&to, &to_mask);
    convert(LAYOUT_DCNV3, LAYOUT_DCNV4, &w, &offset, &mask, &to, &to_mask);
    assert_int_equal(to.dim[3], 40);    /* 36 rounded up to 8 */
    assert_true(to.data[18 + 2] == 7 && to.data[18 + 3] == -4 && to.data[18 + 12 + 1] == 0.25);
    assert_true(to.data[39] == 0);
    drop(&to, &to_mask);
    drop(&offset, &mask);
}

static void what_would_lose_is_refused(void **state)
{
    const struct convert_window all = window(false), less = window(true);
    struct array offset, mask, to, to_mask;
    struct taps t;
    struct error e = {0};
    (void)state;
    dcnv3_tensors(&all, 2, 3, &offset, &mask);
    assert_true(taps_from(&t, LAYOUT_DCNV3, &all, &offset, &mask, &e));
    assert_false(taps_to(&t, LAYOUT_DCNV3, &less, &to, &to_mask, &e));
    assert_non_null(strstr(e.text, "middle point has a mask of"));
    e = (struct error){0};
    t.mask[3] = 1.25;
    assert_false(taps_to(&t, LAYOUT_CONV_OFFSET, &all, &to, &to_mask, &e));
    assert_non_null(strstr(e.text, "1.25 is not the sigmoid"));
    taps_free(&t);
    e = (struct error){0};
    assert_false(taps_from(&t, LAYOUT_DCNV2, &all, &offset, &mask, &e));
    assert_non_null(strstr(e.text, "do not fit a 3x5 kernel"));
    drop(&offset, &mask);
}

/* --- files ------------------------------------------------------------------------------- */

static char folder[256];

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int run(const char *arguments)
{
    char command[2048];
    const char *program = getenv("INTERNIMAGE");
    snprintf(command, sizeof command, "cd '%s' && '%s' convert %s >/dev/null 2>said", folder,
             program ? program : "build/internimage", arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_file(const char *path, const char *name, struct array *a)
{
    struct error e = {0};
    struct tensor_file *f = tensors_open(path, &e);
    if (!f)
        fail_msg("%s", e.text);
    const int index = tensors_find(f, name);
    assert_true(index >= 0);
    const struct tensor_info *info = tensors_info(f, index);
    assert_true(info->type == TENSOR_F32);
    assert_true(array_new(a, info->rank, info->dim, &e));
    assert_true(tensors_read_f64(f, index, 0, info->count, a->data, &e));
    tensors_close(f);
}

static void files_go_there_and_back(void **state)
{
    const struct convert_window w = window(false);
    struct array offset, mask, read;
    (void)state;
    dcnv3_tensors(&w, 5, 7, &offset, &mask);
    struct h5_file *f = h5_create(in_folder("mine.h5"), NULL);
    const struct array *all[] = {&offset, &mask, &offset};
    const char *name[] = {"offset", "mask", "input"};
    for (int i = 0; i < 3; i++) {
        float v[N * 5 * 7 * GROUPS * 15 * 2];
        for (int64_t k = 0; k < array_count(all[i]); k++)
            v[k] = (float)all[i]->data[k];
        assert_true(h5_write_f32(f, "", name[i], 4, all[i]->dim, v, NULL));
    }
    assert_true(h5_close(f, NULL));
    const char *options = "--kernel 3x5 --dilation 2x1 --offset-scale 1.5";
    char line[512];
    snprintf(line, sizeof line, "--from dcnv3 --to dcnv2 %s mine.h5 -o v2.npz", options);
    assert_int_equal(run(line), 0);
    snprintf(line, sizeof line, "--from dcnv2 --to dcnv3 %s v2.npz -o back.h5", options);
    assert_int_equal(run(line), 0);
    for (int i = 0; i < 3; i++) {
        read_file(in_folder("back.h5"), name[i], &read);
        assert_memory_equal(read.dim, all[i]->dim, 4 * sizeof *read.dim);
        assert_true(distance(&read, all[i]) < 1e-6);
        free(read.data);
    }
    read_file(in_folder("v2.npz"), "weight", &read);
    assert_true(read.dim[0] == 60 && read.dim[2] == 3 && read.dim[3] == 5 && read.data[7] == 1);
    free(read.data);
    drop(&offset, &mask);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(run("--from dcnv2 --to dcnv3 Makefile"), 2);
    assert_int_equal(run("--from dcnv2 --to dcnv5 mine.h5 -o x.h5"), 2);
    assert_int_equal(run("mine.h5 -o x.h5"), 2);
    assert_int_equal(run("--from dcnv2 --to dcnv3 --kernel 3y5 mine.h5 -o x.h5"), 2);
    assert_int_equal(run("--from dcnv2 --to dcnv3 --offset-scale 0 mine.h5 -o x.h5"), 2);
    assert_int_equal(run("--from dcnv2 --to dcnv3 missing.h5 -o x.h5"), 3);
    assert_int_equal(run("--from dcnv4 --to dcnv3 mine.h5 -o x.h5"), 3);     /* no offset_mask */
    assert_int_equal(run("--from dcnv3 --to dcnv2 mine.h5 -o x.h5"), 3);     /* 15 taps, not 9 */
    assert_int_equal(run("--remove-center mine.h5 -o x.h5"), 3);
    assert_int_equal(access(in_folder("x.h5"), F_OK), -1);
}

/* --- a model without its middle points ---------------------------------------------------- */

static void fill(struct graph *g, float **values)
{
    for (int i = 0; i < g->params; i++) {
        const struct param *p = &g->param[i];
        const int64_t rows = p->shape.dim[0], each = shape_count(&p->shape) / rows;
        seeded_parameter(p, 3, values[i]);
        if (!strstr(p->key, ".dcn.mask."))
            continue;
        for (int64_t r = 4; r < rows; r += 9)   /* exp(-200) of the others' weight */
            for (int64_t k = 0; k < each; k++)
                values[i][r * each + k] = strstr(p->key, "bias") ? -200 : 0;
    }
}

static double *logits(const char *path)
{
    struct internimage_config c;
    struct error e = {0};
    if (!weights_config(path, &c, &e))
        fail_msg("%s", e.text);
    struct graph *g = internimage_graph(&c, 1, 64, 64, &e);
    float **values = weights_new(g, &e);
    assert_true(weights_read(path, g, values, &e));
    struct ref64_run *r = ref64_run_new(g, &e);
    for (int i = 0; i < g->params; i++)
        for (int64_t k = 0; k < shape_count(&g->param[i].shape); k++)
            r->param[i][k] = values[i][k];
    seeded("image", 3 * 64 * 64, 2, 0, r->value[0]);
    ref64_run_forward(r, NULL, NULL);
    double *out = malloc((size_t)c.num_classes * sizeof *out);
    memcpy(out, r->value[g->nodes - 1], (size_t)c.num_classes * sizeof *out);
    ref64_run_free(r);
    weights_free(g, values);
    graph_free(g);
    return out;
}

static void middle_points_without_weight_can_go(void **state)
{
    struct internimage_config c;
    (void)state;
    assert_true(internimage_named("pico", &c, NULL));
    struct graph *g = internimage_graph(&c, 1, 64, 64, NULL);
    float **values = weights_new(g, NULL);
    fill(g, values);
    assert_true(weights_write(in_folder("nine.h5"), &c, g, values, NULL));
    assert_int_equal(run("--remove-center nine.h5 -o eight.h5"), 0);
    double *nine = logits(in_folder("nine.h5")), *eight = logits(in_folder("eight.h5"));
    for (int i = 0; i < c.num_classes; i++)
        assert_true(fabs(nine[i] - eight[i]) < 1e-12 * fmax(1, fabs(nine[i])));
    assert_int_equal(run("--remove-center eight.h5 -o seven.h5"), 3);
    free(nine);
    free(eight);
    weights_free(g, values);
    graph_free(g);
}

static int make_folder(void **state)
{
    const char *temporary = getenv("TMPDIR"), *program = getenv("INTERNIMAGE");
    static char absolute[4096];
    (void)state;
    if (realpath(program ? program : "build/internimage", absolute))
        setenv("INTERNIMAGE", absolute, 1);
    snprintf(folder, sizeof folder, "%s/internimage-convert-XXXXXX",
             temporary ? temporary : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[512];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_and_back),
        cmocka_unit_test(dcnv3_is_dcnv2_on_converted_tensors),
        cmocka_unit_test(places_by_hand), cmocka_unit_test(what_would_lose_is_refused),
        cmocka_unit_test(files_go_there_and_back), cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(middle_points_without_weight_can_go),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
