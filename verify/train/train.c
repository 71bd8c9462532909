#include "checkpoint.h"
#include "evaluate.h"
#include "loader.h"
#include "progress.h"

#include "verify/bench/clock.h"
#include "verify/json.h"

#include <omp.h>
#include <string.h>
#include <unistd.h>

struct train_options train_defaults(void)
{
    return (struct train_options){
        .epochs = 10, .batch = 64, .lr = 2e-3, .min_lr = 1e-5, .weight_decay = 0.05, .warmup = 1,
        .label_smoothing = 0.1, .clip = 5, .view = {.pad = 2, .flip = true}, .seed = 1,
        .checkpoint_seconds = 60, .test_every = 1, .progress = true,
    };
}

/* A training on its way. */
struct training {
    const struct train_options *o;
    const struct image_set *images, *test;
    struct learner *learner;
    struct loader loader;
    struct schedule schedule;
    struct epoch_sums sums;
    struct progress progress;
    int64_t count;                      /* images used */
    int64_t per_epoch;                  /* steps; what is left over of an epoch is not seen */
    double saved;                       /* when the last checkpoint was written */
    char plan[1536];
    struct train_result *result;
};

/* --- the log ---------------------------------------------------------------------- */

static struct json log_open(const struct training *t, const char *event)
{
    struct json j = {.to = t->o->log, .line = true};
    json_open(&j, NULL, '{');
    json_string(&j, "event", event);
    return j;
}

static void log_close(struct json *j)
{
    json_close(j, '}');
    fflush(j->to);
}

static void log_start(const struct training *t)
{
    if (!t->o->log)
        return;
    struct json j = log_open(t, t->learner->step ? "resume" : "start");
    json_string(&j, "plan", t->plan);
    json_int(&j, "parameters", graph_parameters(t->learner->graph));
    json_int(&j, "steps", t->schedule.steps);
    json_int(&j, "step", t->learner->step);
    json_int(&j, "threads", t->loader.threads);
    log_close(&j);
}

static void log_epoch(const struct training *t, const struct evaluation *test)
{
    if (!t->o->log)
        return;
    const double seen = (double)(t->per_epoch * t->o->batch);
    struct json j = log_open(t, "epoch");
    json_int(&j, "epoch", t->learner->step / t->per_epoch);
    json_int(&j, "step", t->learner->step);
    json_number(&j, "lr", schedule_lr(&t->schedule, t->learner->step - 1));
    json_number(&j, "loss", t->sums.loss / (double)t->per_epoch);
    json_number(&j, "train_accuracy", (double)t->sums.correct / seen);
    if (test->images) {
        json_number(&j, "test_accuracy", (double)test->top1 / (double)test->images);
        json_number(&j, "test_top5", (double)test->top5 / (double)test->images);
        json_number(&j, "test_loss", test->loss);
    }
    json_number(&j, "seconds", t->sums.seconds);
    log_close(&j);
}

/* --- steps and epochs -------------------------------------------------------------- */

static bool save(struct training *t, bool now, struct error *e)
{
    const double clock = bench_now();
    if (!t->o->checkpoint || (!now && clock - t->saved < t->o->checkpoint_seconds))
        return true;
    t->saved = clock;
    return checkpoint_write(t->o->checkpoint, t->learner, &t->sums, t->plan, e);
}

static bool one_step(struct training *t, struct error *e)
{
    struct learner *l = t->learner;
    const int64_t at = l->step % t->per_epoch * t->o->batch;
    const double start = bench_now();
    double loss;
    int correct;
    if (!loader_fill(&t->loader, at, t->o->batch, learner_input(l), e))
        return false;
    if (!learner_step(l, t->loader.label, schedule_lr(&t->schedule, l->step), &loss, &correct, e))
        return false;
    const double spent = bench_now() - start;
    t->sums.loss += loss;
    t->sums.correct += correct;
    t->sums.seconds += spent;
    t->result->seconds += spent;
    t->result->steps++;
    progress_show(&t->progress, l->step, "epoch %lld of %d, loss %.3f, %.0f images/s",
                  (long long)((l->step - 1) / t->per_epoch + 1), t->o->epochs, loss,
                  (double)(t->result->steps * t->o->batch) / t->result->seconds);
    return true;
}

static bool end_epoch(struct training *t, struct error *e)
{
    struct learner *l = t->learner;
    struct train_result *r = t->result;
    struct evaluation test = {0};
    const int64_t epoch = l->step / t->per_epoch, last = l->step == t->schedule.steps;
    const struct evaluate_options o = {.engine = t->o->engine, .threads = t->o->threads,
                                       .size = t->o->view.size, .limit = t->o->test_limit};
    if (t->test && (last || (t->o->test_every > 0 && epoch % t->o->test_every == 0))) {
        if (!evaluate(&l->config, learner_weights(l), t->test, &o, NULL, &test, e))
            return false;
        r->test_accuracy = (double)test.top1 / (double)test.images;
        r->test_top5 = (double)test.top5 / (double)test.images;
        r->test_loss = test.loss;
    }
    r->loss = t->sums.loss / (double)t->per_epoch;
    r->train_accuracy = (double)t->sums.correct / (double)(t->per_epoch * t->o->batch);
    log_epoch(t, &test);
    t->sums.loss = 0;
    t->sums.correct = 0;
    return save(t, true, e);
}

static bool run_steps(struct training *t, struct error *e)
{
    struct learner *l = t->learner;
    int64_t shuffled = -1;
    while (l->step < t->schedule.steps) {
        const int64_t epoch = l->step / t->per_epoch;
        if (t->o->stop_after > 0 && t->result->steps >= t->o->stop_after)
            return save(t, true, e);
        if (epoch != shuffled
            && !loader_shuffle(&t->loader, t->count, t->o->seed, (uint64_t)epoch, e))
            return false;
        shuffled = epoch;
        if (!one_step(t, e))
            return false;
        if (!(l->step % t->per_epoch ? save(t, false, e) : end_epoch(t, e)))
            return false;
    }
    t->result->finished = true;
    return true;
}

/* --- beginning and end -------------------------------------------------------------- */

static void describe(struct training *t, const struct internimage_config *c)
{
    const struct train_options *o = t->o;
    snprintf(t->plan, sizeof t->plan,
             "model=%s channels=%d depths=%d,%d,%d,%d groups=%d,%d,%d,%d mlp=%g kernel=%d dw=%d "
             "scale=%g flags=%d%d%d%d%d%d%d%d modulation=%d classes=%d size=%d drop_path=%g data=%s images=%lld "
             "epochs=%d batch=%d lr=%g min_lr=%g weight_decay=%g warmup=%g label_smoothing=%g "
             "ema=%g clip=%g pad=%d flip=%d seed=%llu engine=%s threads=%d",
             c->name, c->channels, c->depths[0], c->depths[1], c->depths[2], c->depths[3],
             c->groups[0], c->groups[1], c->groups[2], c->groups[3], c->mlp_ratio, c->kernel_size,
             c->dw_kernel_size, c->offset_scale, c->layer_scale, c->post_norm, c->res_post_norm,
             c->center_feature_scale, c->remove_center, c->clip_projector, c->fixed_offsets,
             c->unshared, c->modulation, c->num_classes,
             c->image_size, c->drop_path, t->images->name, (long long)t->count,
             o->epochs, o->batch, o->lr, o->min_lr, o->weight_decay, o->warmup, o->label_smoothing,
             o->ema, o->clip, o->view.pad, o->view.flip, (unsigned long long)o->seed,
             o->engine == ENGINE_OPT ? "opt" : "ref", t->loader.threads);
}

static bool begin(struct training *t, const struct internimage_config *config, struct error *e)
{
    const struct train_options *o = t->o;
    struct internimage_config c = *config;
    t->count = o->train_limit > 0 && o->train_limit < t->images->count ? o->train_limit
                                                                       : t->images->count;
    t->per_epoch = t->count / o->batch;
    c.image_size = o->view.size ? o->view.size : t->images->height;
    if (t->per_epoch < 1)
        return fail(e, EXIT_USAGE, "%lld images are less than a batch of %d", (long long)t->count,
                    o->batch);
    if (!o->view.size && t->images->height != t->images->width)
        return fail(e, EXIT_USAGE, "the images are %d x %d: give a size", t->images->height,
                    t->images->width);
    if (c.num_classes < t->images->classes)
        return fail(e, EXIT_USAGE, "the images are of %d classes, the model of %d",
                    t->images->classes, c.num_classes);
    t->schedule = (struct schedule){.lr = o->lr, .min_lr = o->min_lr,
                                    .warmup = (int64_t)(o->warmup * (double)t->per_epoch + 0.5),
                                    .steps = t->per_epoch * o->epochs};
    if (!loader_new(&t->loader, t->images, &o->view, o->batch, o->threads, e)
        || !(t->learner = learner_new(&c, o, e)))
        return false;
    describe(t, &c);
    if (o->resume && o->checkpoint && access(o->checkpoint, F_OK) == 0
        && !checkpoint_read(o->checkpoint, t->learner, &t->sums, t->plan, e))
        return false;
    t->saved = bench_now();
    t->progress = progress_start("training", t->schedule.steps, o->progress);
    t->progress.first = t->learner->step;
    log_start(t);
    return true;
}

static void log_end(const struct training *t)
{
    if (!t->o->log)
        return;
    struct json j = log_open(t, t->result->finished ? "end" : "stop");
    json_int(&j, "step", t->learner->step);
    json_number(&j, "test_accuracy", t->result->test_accuracy);
    json_number(&j, "images_per_second", t->result->images_per_second);
    json_number(&j, "seconds", t->sums.seconds);
    log_close(&j);
}

bool train(const struct internimage_config *c, const struct image_set *images,
           const struct image_set *test, const struct train_options *o, float *const *weights,
           struct train_result *result, struct error *e)
{
    struct training t = {.o = o, .images = images, .test = test, .result = result};
    *result = (struct train_result){0};
    bool ok = begin(&t, c, e) && run_steps(&t, e);
    progress_stop(&t.progress);
    if (ok) {
        const struct graph *g = t.learner->graph;
        result->images_per_second = (double)(result->steps * o->batch) / result->seconds;
        for (int i = 0; weights && i < g->params; i++)
            memcpy(weights[i], learner_weights(t.learner)[i],
                   (size_t)shape_count(&g->param[i].shape) * sizeof(float));
        log_end(&t);
    }
    learner_free(t.learner);
    loader_free(&t.loader);
    return ok;
}
