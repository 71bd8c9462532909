/* Ten steps of training beside PyTorch's (datasets/torch/golden_training.py): losses to
 * 1e-5, gradients and parameters by the envelope rule of metrics.h, where PyTorch's float32
 * run says what honest rounding costs. On the reference and on the fast side. */
#include "datasets/h5.h"
#include "ref/weights.h"
#include "verify/metrics.h"
#include "verify/train/learner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "datasets/goldens/training/pico.h5"

enum { STEPS = 10, BATCH = 8, SIZE = 32 };

struct parity {
    struct h5_file *golden;
    struct learner *learner;
    const char *engine;
    int64_t seed;                       /* of inputs and labels; the golden names it */
    double worst;                       /* error over the envelope */
};

/* Our values of a tensor against both of PyTorch's runs. */
static void compare(struct parity *p, const char *group, const char *key, const float *mine)
{
    char path[64];
    struct h5_info info;
    snprintf(path, sizeof path, "float64/%s", group);
    double *truth = h5_read_f64(p->golden, path, key, &info, NULL);
    snprintf(path, sizeof path, "float32/%s", group);
    float *torch32 = h5_read_f32(p->golden, path, key, &info, NULL);
    assert_non_null(truth);
    assert_non_null(torch32);
    const struct metrics m = measure32(info.count, mine, truth, NULL, NULL);
    const struct metrics t = measure32(info.count, torch32, truth, NULL, NULL);
    const double ratio = m.rel_rms / envelope_of(t.rel_rms, 1);
    if (!(ratio <= ENVELOPE_K) || m.bad)
        print_message("  %s %s/%s: %.1e, PyTorch %.1e\n", p->engine, group, key, m.rel_rms,
                      t.rel_rms);
    p->worst = fmax(p->worst, m.bad ? INFINITY : ratio);
    free(truth);
    free(torch32);
}

struct visit {
    struct parity *p;
    const char *group;
    float *const *values;
};

static bool visit_key(void *context, const char *key)
{
    const struct visit *v = context;
    const int index = graph_find_param(v->p->learner->graph, key);
    assert_true(index >= 0);
    compare(v->p, v->group, key, v->values[index]);
    return true;
}

static void compare_group(struct parity *p, const char *group, float *const *values)
{
    char path[64];
    struct visit v = {p, group, values};
    snprintf(path, sizeof path, "float64/%s", group);
    assert_true(h5_each_key(p->golden, path, visit_key, &v, NULL));
}

static double one_step(struct parity *p, int step)
{
    char name[32];
    int32_t label[BATCH];
    double loss;
    int correct;
    float *x = learner_input(p->learner);
    snprintf(name, sizeof name, "input.%d", step);
    seeded_uniform(name, (uint64_t)p->seed, BATCH * 3 * SIZE * SIZE, x);
    for (int i = 0; i < BATCH * 3 * SIZE * SIZE; i++)
        x[i] *= 2;
    snprintf(name, sizeof name, "label.%d", step);
    for (int i = 0; i < BATCH; i++)
        label[i] = (int32_t)(seeded_hash(name, (uint64_t)i, (uint64_t)p->seed) % 10);
    assert_true(learner_step(p->learner, label, 1e-3, &loss, &correct, NULL));
    return loss;
}

/* `spoil`: what a planted mistake multiplies the weight decay by. */
static struct parity run(enum engine engine, double spoil, double *worst_loss)
{
    struct internimage_config c;
    struct train_options o = {.batch = BATCH, .label_smoothing = 0.1, .clip = 1,
                              .weight_decay = 0.05 * spoil, .engine = engine};
    struct error e = {0};
    struct h5_info info;
    struct parity p = {.golden = h5_open(GOLDEN, &e), .engine = engine ? "ref" : "opt"};
    assert_true(internimage_named("pico", &c, NULL));
    c.image_size = SIZE;
    p.learner = learner_new(&c, &o, &e);
    if (!p.learner && e.code == EXIT_NOT_BUILT) {
        h5_close(p.golden, NULL);
        skip();
    }
    if (!p.golden || !p.learner)
        fail_msg("%s", e.text);
    if (!h5_attr_int(p.golden, "/", "seed", &p.seed, &e))
        fail_msg("%s", e.text);
    double *losses = h5_read_f64(p.golden, "float64", "loss", &info, NULL);
    assert_true(losses && info.count == STEPS);
    for (int i = 0; i < p.learner->graph->params; i++)
        seeded_parameter(&p.learner->graph->param[i], 1, p.learner->run->param[i]);
    *worst_loss = 0;
    for (int step = 0; step < STEPS; step++) {
        const double loss = one_step(&p, step);
        *worst_loss = fmax(*worst_loss, fabs(loss - losses[step]) / losses[step]);
        if (step == 0)
            compare_group(&p, "grad.0", p.learner->run->d_param);
        if (step == STEPS - 1)
            compare_group(&p, "grad.9", p.learner->run->d_param);
    }
    compare_group(&p, "final", p.learner->run->param);
    learner_free(p.learner);
    h5_close(p.golden, NULL);
    free(losses);
    return p;
}

static void ten_steps(enum engine engine)
{
    double loss;
    const struct parity p = run(engine, 1, &loss);
    print_message("  %s: losses to %.1e, gradients and parameters to %.2f envelopes\n", p.engine,
                  loss, p.worst);
    assert_true(loss <= 1e-5);
    assert_true(p.worst <= ENVELOPE_K);
}

static void ten_steps_of_the_reference(void **state)
{
    (void)state;
    ten_steps(ENGINE_REF);
}

static void ten_steps_of_the_fast_side(void **state)
{
    (void)state;
    ten_steps(ENGINE_OPT);
}

/* A weight decay that is a fifth too large must be noticed. */
static void a_wrong_optimizer_is_caught(void **state)
{
    (void)state;
    double loss;
    const struct parity p = run(ENGINE_OPT, 1.2, &loss);
    assert_true(loss > 1e-5 || p.worst > ENVELOPE_K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_of_the_reference),
        cmocka_unit_test(ten_steps_of_the_fast_side),
        cmocka_unit_test(a_wrong_optimizer_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
