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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

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
    char file[] = "/tmp/internimage-train-XXXXXX";
    const int fd = mkstemp(file);
    assert_true(fd >= 0);
    close(fd);
    o.checkpoint = file;
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

/* --- killed by the system --------------------------------------------------------------- */

/* 64 images of Fashion-MNIST's format, made up, in `directory`. */
static void write_idx(const char *directory, const char *half)
{
    char path[256];
    unsigned char head[] = {0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 16, 0, 0, 0, 16};
    struct image_set *s = halves(64);
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte.gz", directory, half);
    gzFile f = gzopen(path, "wb1");
    assert_true(gzwrite(f, head, 16) == 16 && gzwrite(f, s->pixel, 64 * 256) == 64 * 256);
    gzclose(f);
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte.gz", directory, half);
    f = gzopen(path, "wb1");
    head[3] = 1;
    assert_true(gzwrite(f, head, 8) == 8);
    for (int i = 0; i < 64; i++)
        gzputc(f, s->label[i]);
    gzclose(f);
    images_close(s);
}

/* Starts `internimage train`; kills it after so many milliseconds, 0: never. Whether it
 * came to its end. */
static bool train_process(const char *directory, const char *out, int milliseconds)
{
    char data[300], weights[300], checkpoint[300];
    const char *program = getenv("INTERNIMAGE") ? getenv("INTERNIMAGE") : "build/internimage";
    snprintf(data, sizeof data, "--data-dir=%s", directory);
    snprintf(weights, sizeof weights, "--out=%s/%s.h5", directory, out);
    snprintf(checkpoint, sizeof checkpoint, "--checkpoint=%s/%s.ck", directory, out);
    const pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(99);
        execl(program, program, "train", "--data=fashion-mnist", data, weights, checkpoint,
              "--resume", "--checkpoint-every=0", "--epochs=4", "--batch=16", "--ema=0.9",
              "--drop-path=0.1", "--engine=ref", (char *)NULL);
        _exit(99);
    }
    int status = 0;
    if (milliseconds) {
        usleep((unsigned)milliseconds * 1000);
        kill(child, SIGKILL);
    }
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status))
        fail_msg("%s train: exit code %d", program, WEXITSTATUS(status));
    return WIFEXITED(status);
}

static float **read_outcome(const char *directory, const char *out, struct graph **g)
{
    char path[300];
    struct internimage_config c;
    struct error e = {0};
    snprintf(path, sizeof path, "%s/%s.h5", directory, out);
    assert_true(weights_config(path, &c, &e));
    *g = internimage_graph(&c, 1, 16, 16, &e);
    float **w = weights_new(*g, &e);
    if (!weights_read(path, *g, w, &e))
        fail_msg("%s", e.text);
    return w;
}

/* Killed at many different moments, also while a checkpoint is being written: a run that
 * writes one after every step spends much of its time there. */
static void killed_and_resumed(void **state)
{
    (void)state;
    char directory[] = "/tmp/internimage-kill-XXXXXX", command[300];
    int kills = 0;
    assert_non_null(mkdtemp(directory));
    write_idx(directory, "train");
    write_idx(directory, "t10k");
    assert_true(train_process(directory, "whole", 0));
    for (int wait = 80; !train_process(directory, "killed", wait); wait += 60)
        kills++;
    struct outcome a, b;
    a.weights = read_outcome(directory, "whole", &a.graph);
    b.weights = read_outcome(directory, "killed", &b.graph);
    print_message("  killed %d times\n", kills);
    assert_true(kills > 0);
    assert_true(same_weights(&a, &b));
    outcome_free(&a);
    outcome_free(&b);
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_gradient_is_the_slope), cmocka_unit_test(schedules),
        cmocka_unit_test(resumes_bit_for_bit), cmocka_unit_test(learns),
        cmocka_unit_test(another_plan_is_refused), cmocka_unit_test(killed_and_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
