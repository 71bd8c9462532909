#include "measure.h"
#include "served.h"

#include <stdlib.h>
#include <string.h>

const char *const yardstick_names[YARDSTICKS] = {"fma", "conv", "ref"};

struct yardstick {
    const struct kernels *kernels;      /* fma */
    int threads;
    struct subject *subject;            /* the others */
};

struct yardstick *yardstick_new(enum yardstick_kind kind, const char *isa, int threads,
                                struct error *e)
{
    struct yardstick *y = calloc(1, sizeof *y);
    struct subject_spec spec = {.name = "op/conv2d", .height = 56, .width = 56, .batch = 1,
                                .threads = threads, .isa = isa, .gemm = GEMM_ONEDNN};
    if (kind == YARDSTICK_REF)
        spec = (struct subject_spec){.name = "op/dcnv3", .height = 14, .width = 14, .batch = 1,
                                     .threads = 1, .work = WORK_REF};
    if (!y)
        return NULL;
    y->threads = threads;
    y->kernels = kernels_select(isa, e);
    y->subject = kind == YARDSTICK_FMA ? NULL : subject_new(&spec, e);
    if (y->kernels && (kind == YARDSTICK_FMA || y->subject))
        return y;
    yardstick_free(y);
    return NULL;
}

double yardstick_run(struct yardstick *y)
{
    if (!y->subject)
        return 1e9 / bench_fma(y->kernels, y->threads, 50000);
    const double before = bench_now();
    subject_run(y->subject, NULL);
    return bench_now() - before;
}

void yardstick_free(struct yardstick *y)
{
    if (y)
        subject_free(y->subject);
    free(y);
}

enum { MOST_REPEATS = 400, LEAST_REPEATS = 9, SLOW_REPEATS = 3 };

/* A case of seconds gets three runs, not nine. */
static bool enough(int n, double elapsed, double seconds)
{
    return n >= MOST_REPEATS || (n >= LEAST_REPEATS && elapsed >= seconds)
        || (n >= SLOW_REPEATS && elapsed >= 4 * seconds);
}

/* Who runs the case: this process or one of its own. */
struct runner {
    struct subject *subject;
    struct server *server;              /* NULL: this one */
    int together;
};

static double run_one(struct runner *r, struct error *e)
{
    if (r->server)
        return server_ask(r->server, r->together, e);
    const double before = bench_now();
    for (int i = 0; i < r->together; i++)
        if (!subject_run(r->subject, e))
            return -1;
    return (bench_now() - before) / r->together;
}

static bool measure_round(struct runner *runner, struct yardstick *y,
                          const struct measure_options *o, struct measurement *m, struct error *e)
{
    double seconds[MOST_REPEATS], yard[MOST_REPEATS], start = bench_now();
    int n = 0, yards = 0;
    while (!enough(n, bench_now() - start, o->seconds)) {
        if (n % 4 == 0) {
            yard[yards++] = yardstick_run(y);
            if (o->yardstick == YARDSTICK_FMA && 1e9 / yard[yards - 1] > m->peak)
                m->peak = 1e9 / yard[yards - 1];
        }
        seconds[n] = run_one(runner, e);
        if (seconds[n++] < 0)
            return false;
    }
    struct round *r = &m->round[m->rounds++];
    r->time = timing_of(seconds, n);
    r->yardstick = timing_of(yard, yards).median;
    return true;
}

/* A process per round. */
static bool measure_served(const struct subject_spec *spec, struct yardstick *y,
                           const struct measure_options *o, struct measurement *m, struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && i < o->rounds && i < MOST_ROUNDS; i++) {
        struct server server;
        ok = server_start(&server, NULL, spec, e)
          && measure_round(&(struct runner){.server = &server, .together = server.together}, y, o,
                           m, e);
        server_stop(&server);
    }
    return ok;
}

int runs_for(struct subject *s, double seconds, struct error *e)
{
    double before = bench_now();
    if (!subject_run(s, e))
        return 0;
    before = bench_now();
    if (!subject_run(s, e))
        return 0;
    const double one = bench_now() - before;
    return one >= seconds ? 1 : one * 100000 < seconds ? 100000 : (int)(seconds / one) + 1;
}

static double ref_seconds(const struct subject_spec *spec, struct error *e)
{
    struct subject_spec plain = *spec;
    plain.work = spec->work == WORK_FORWARD ? WORK_REF : WORK_REF_BACKWARD;
    struct subject *s = subject_new(&plain, e);
    const double start = bench_now();
    const double seconds = s && subject_run(s, e) ? bench_now() - start : 0;
    subject_free(s);
    return seconds;
}

bool measure(struct subject *s, const struct subject_spec *spec, const struct measure_options *o,
             struct measurement *m, struct error *e)
{
    struct yardstick *y = yardstick_new(o->yardstick, spec->isa, spec->threads, e);
    const struct kernels *k = kernels_select(spec->isa, e);
    struct runner here = {.subject = s};
    *m = (struct measurement){0};
    bool ok = y && k && (here.together = runs_for(s, 200e-6, e)) > 0;
    if (ok)
        m->peak = bench_peak(k, spec->threads);
    subject_profile(s, o->profile);
    if (ok)
        ok = o->rounds > 1 ? measure_served(spec, y, o, m, e) : measure_round(&here, y, o, m, e);
    if (ok && o->with_ref)
        m->ref_seconds = ref_seconds(spec, e);
    yardstick_free(y);
    return ok;
}
