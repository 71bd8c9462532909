/* Training: the loss and the optimizer against their formulas, a run that is stopped and
 * resumed against one that is not, the data readers on damaged files. */
#include "datasets/weights_file.h"
#include "ref/ref.h"
#include "verify/train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- loss and optimizer ------------------------------------------------------------- */

static void loss_gradient_is_the_slope(void **state)
{
    (void)state;
    double z[6] = {0.3, -1, 2, 0.7, 0.1, -0.4}, d[6];
    const int32_t label[2] = {2, 0};
    ref64_cross_entropy(2, 3, 0.1, z, label, d);
    for (int i = 0; i < 6; i++) {
        const double keep = z[i], h = 1e-6;
        z[i] = keep + h;
        const double up = ref64_cross_entropy(2, 3, 0.1, z, label, NULL);
        z[i] = keep - h;
        const double down = ref64_cross_entropy(2, 3, 0.1, z, label, NULL);
        z[i] = keep;
        assert_true(fabs((up - down) / (2 * h) - d[i]) < 1e-9);
    }
    /* equal logits: log K whatever the smoothing */
    const double equal[3] = {5, 5, 5};
    assert_true(fabs(ref64_cross_entropy(1, 3, 0.2, equal, label, NULL) - log(3)) < 1e-12);
}

static void schedules(void **state)
{
    (void)state;
    const struct schedule s = {.lr = 1, .min_lr = 0.1, .warmup = 4, .steps = 104};
    assert_true(schedule_lr(&s, 0) == 0.25 && schedule_lr(&s, 3) == 1 && schedule_lr(&s, 4) == 1);
    assert_true(fabs(schedule_lr(&s, 54) - 0.55) < 1e-12);
    assert_true(schedule_lr(&s, 103) > 0.1 && schedule_lr(&s, 103) < 0.101);
    assert_true(ema_decay(0.99, 0) == 0.1 && ema_decay(0.99, 1000000) == 0.99);
}

/* --- a training, stopped and resumed --------------------------------------------------- */

/* Two classes that a small network can tell apart: bright above, bright below. */
static struct image_set *halves(int count)
{
    struct image_set *s = calloc(1, sizeof *s);
    *s = (struct image_set){
        .name = "halves", .count = count, .channels = 1, .height = 16, .width = 16, .classes = 2,
        .deviation = {1, 1, 1}, .label = malloc((size_t)count * sizeof *s->label),
        .pixel = malloc((size_t)count * 256),
    };
    for (int i = 0; i < count; i++) {
        s->label[i] = i % 2;
        for (int p = 0; p < 256; p++)
            s->pixel[i * 256 + p] = (unsigned char)((p < 128) == i % 2 ? 40 + 7 * i % 60
                                                                       : 150 + 3 * (i + p) % 90);
    }
    return s;
}

static struct internimage_config small(void)
{
    struct internimage_config c;
    assert_true(internimage_named("pico", &c, NULL));
    c.channels = 8;
    c.groups[0] = c.groups[1] = c.groups[2] = c.groups[3] = 2;
    c.depths[2] = 1;
    c.num_classes = 2;
    c.drop_path = 0.2;
    c.image_size = 16;
    return c;
}

struct outcome {
    struct graph *graph;
    float **weights;
    struct train_result result;
};

static struct outcome run(const struct train_options *o)
{
    const struct internimage_config c = small();
    struct image_set *images = halves(40);
    struct error e = {0};
    struct outcome out = {.graph = internimage_graph(&c, 1, 16, 16, NULL)};
    out.weights = weights_new(out.graph, NULL);
    const bool ok = train(&c, images, images, o, out.weights, &out.result, &e);
    if (!ok && e.code == EXIT_NOT_BUILT)
        skip();                         /* no oneDNN, no training on the fast side */
    if (!ok)
        fail_msg("%s", e.text);
    images_close(images);
    return out;
}

static void outcome_free(struct outcome *o)
{
    weights_free(o->graph, o->weights);
    graph_free(o->graph);
}

static bool same_weights(const struct outcome *a, const struct outcome *b)
{
    for (int i = 0; i < a->graph->params; i++)
        if (memcmp(a->weights[i], b->weights[i],
                   (size_t)shape_count(&a->graph->param[i].shape) * sizeof(float)))
            return false;
    return true;
}

static struct train_options options(enum engine engine)
{
    struct train_options o = train_defaults();
    o.epochs = engine == ENGINE_REF ? 2 : 5;
    o.batch = 8;
    o.lr = 3e-3;
    o.ema = 0.9;
    o.engine = engine;
    o.threads = 2;
    o.progress = false;
    return o;
}

static void stopped_and_resumed(enum engine engine, const char *file)
{
    struct train_options o = options(engine);
    struct outcome whole = run(&o), other;
    o.checkpoint = file;
    o.resume = true;
    o.stop_after = 3;
    remove(file);
    do {                                /* stopped in the middle of epochs, and at their end */
        other = run(&o);
        if (!other.result.finished)
            outcome_free(&other);
    } while (!other.result.finished);
    assert_true(same_weights(&whole, &other));
    assert_true(whole.result.loss == other.result.loss);
    /* and another seed gives other weights: the comparison can fail */
    o.checkpoint = NULL;
    o.stop_after = 0;
    o.seed = 2;
    struct outcome third = run(&o);
    assert_false(same_weights(&whole, &third));
    print_message("  loss %.3f, %.0f %% right\n", whole.result.loss,
                  100 * whole.result.test_accuracy);
    outcome_free(&whole);
    outcome_free(&other);
    outcome_free(&third);
    remove(file);
}

static void resumes_bit_for_bit(void **state)
{
    (void)state;
    char file[] = "/tmp/internimage-train-XXXXXX";
    const int fd = mkstemp(file);
    assert_true(fd >= 0);
    close(fd);
    stopped_and_resumed(ENGINE_OPT, file);
    stopped_and_resumed(ENGINE_REF, file);
}

static void learns(void **state)
{
    (void)state;
    struct train_options o = options(ENGINE_OPT);
    o.epochs = 12;
    struct outcome out = run(&o);
    print_message("  loss %.3f, %.0f %% right\n", out.result.loss, 100 * out.result.test_accuracy);
    assert_true(out.result.test_accuracy == 1);
    outcome_free(&out);
}

static void another_plan_is_refused(void **state)
{
    (void)state;
    const struct internimage_config c = small();
    struct image_set *images = halves(40);
    struct train_options o = options(ENGINE_REF);
    struct train_result r;
    struct error e = {0};
    o.checkpoint = "/tmp/internimage-plan.h5";
    o.stop_after = 1;
    assert_true(train(&c, images, NULL, &o, NULL, &r, &e));
    o.resume = true;
    o.lr *= 2;
    assert_false(train(&c, images, NULL, &o, NULL, &r, &e));
    assert_int_equal(e.code, EXIT_USAGE);
    assert_non_null(strstr(e.text, "lr="));
    remove(o.checkpoint);
    images_close(images);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_gradient_is_the_slope), cmocka_unit_test(schedules),
        cmocka_unit_test(resumes_bit_for_bit), cmocka_unit_test(learns),
        cmocka_unit_test(another_plan_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
