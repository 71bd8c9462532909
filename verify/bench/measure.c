#include "measure.h"
#include "served.h"

#include <stdlib.h>
#include <string.h>

const char *const yardstick_names[YARDSTICKS] = {"fma", "conv", "ref"};

struct yardsticks {
    const char *isa;
    int threads;
    struct subject *subject[YARDSTICKS];        /* made when first asked for */
};

struct yardsticks *yardsticks_new(const char *isa, int threads)
{
    struct yardsticks *y = calloc(1, sizeof *y);
    if (y)
        *y = (struct yardsticks){.isa = isa, .threads = threads};
    return y;
}

static bool yardstick_ready(struct yardsticks *y, enum yardstick_kind kind)
{
    struct error none = {0};
    struct subject_spec spec = {.name = "op/conv2d", .height = 14, .width = 14, .batch = 1,
                                .threads = y->threads, .isa = y->isa, .gemm = GEMM_ONEDNN};
    if (kind == YARDSTICK_REF)
        spec = (struct subject_spec){.name = "op/dcnv3", .height = 14, .width = 14, .batch = 1,
                                     .threads = 1, .work = WORK_REF};
    if (!y->subject[kind])
        y->subject[kind] = subject_new(&spec, &none);
    return y->subject[kind] && subject_run(y->subject[kind], &none);
}

double yardstick_run(struct yardsticks *y, enum yardstick_kind kind)
{
    if (kind == YARDSTICK_FMA)
        return 1e9 / bench_fma(kernels_select(y->isa, NULL), y->threads, 50000);
    if (!yardstick_ready(y, kind))
        return 0;
    const double before = bench_now();
    subject_run(y->subject[kind], NULL);
    return bench_now() - before;
}

void yardsticks_free(struct yardsticks *y)
{
    for (int i = 0; y && i < YARDSTICKS; i++)
        subject_free(y->subject[i]);
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
    struct yardsticks *yardsticks;
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

/* One go of each. In this process only what tells the peak: the others would empty the
 * caches, and there are no rounds that could be compared with a record. */
static bool run_yardsticks(struct runner *r, double yard[][MOST_REPEATS], int n,
                           struct measurement *m, struct error *e)
{
    for (int k = 0; k < (r->server ? YARDSTICKS : 1); k++) {
        yard[k][n] = r->server ? server_yardstick(r->server, k, e) : yardstick_run(r->yardsticks, k);
        if (yard[k][n] < 0)
            return false;
    }
    if (1e9 / yard[YARDSTICK_FMA][n] > m->peak)
        m->peak = 1e9 / yard[YARDSTICK_FMA][n];
    return true;
}

static bool measure_round(struct runner *runner, double at_least, struct measurement *m,
                          struct error *e)
{
    double seconds[MOST_REPEATS], yard[YARDSTICKS][MOST_REPEATS] = {0}, start = bench_now();
    int n = 0, yards = 0;
    while (!enough(n, bench_now() - start, at_least)) {
        if (n % 4 == 0 && !run_yardsticks(runner, yard, yards++, m, e))
            return false;
        seconds[n] = run_one(runner, e);
        if (seconds[n++] < 0)
            return false;
    }
    struct round *r = &m->round[m->rounds++];
    r->time = timing_of(seconds, n);
    for (int k = 0; k < YARDSTICKS; k++)
        r->yardstick[k] = timing_of(yard[k], yards).least;
    return true;
}

/* A process per round. */
static bool measure_served(const struct subject_spec *spec, const struct measure_options *o,
                           struct measurement *m, struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && i < o->rounds && i < MOST_ROUNDS; i++) {
        struct server server;
        ok = server_start(&server, NULL, spec, server_cpu(spec), e)
          && measure_round(&(struct runner){.server = &server, .together = server.together},
                           o->seconds, m, e);
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
    struct yardsticks *y = yardsticks_new(spec->isa, spec->threads);
    const struct kernels *k = kernels_select(spec->isa, e);
    struct runner here = {.subject = s, .yardsticks = y};
    *m = (struct measurement){0};
    bool ok = y && k && (here.together = runs_for(s, 200e-6, e)) > 0;
    if (ok)
        m->peak = bench_peak(k, spec->threads);
    subject_profile(s, o->profile);
    if (ok)
        ok = o->rounds > 1 ? measure_served(spec, o, m, e) : measure_round(&here, o->seconds, m, e);
    if (ok && o->with_ref)
        m->ref_seconds = ref_seconds(spec, e);
    yardsticks_free(y);
    return ok;
}
