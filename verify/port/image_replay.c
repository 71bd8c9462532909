#include "verify/port/image_replay.h"

#include "verify/metrics.h"
#include "verify/port/slips.h"

#include <math.h>
#include <stdlib.h>

/* Preparing an image takes a few more operations than one rounding. */
#define STEPS 8

struct images {
    int batch;
    int64_t area, count;
    const double *mine;         /* the port's [N,3,H,W] */
    double *right, *trial;      /* the golden's; as prepared under a mistake */
    double *rows, *wrong;       /* both as [N,H,W,3] */
};

static double error_of(const struct images *i, const double *truth)
{
    return measure64(i->count, i->mine, truth, NULL, NULL).rel_rms;
}

static bool try_all(struct images *m, struct replay *r, struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && i < MISTAKES; i++) {
        const struct slip s = {convention_at(i), NULL};
        if (s.first->aspect != COLOUR)
            continue;
        slip_image(&s, m->batch * m->area, m->rows, m->wrong);
        ref64_transpose(m->batch, m->area, 3, m->wrong, m->trial);
        ok = replay_add(r, (struct suspect){s.first, NULL, error_of(m, m->trial), NULL}, e);
    }
    return ok;
}

bool image_replay(struct port *p, const double *mine, double limit, struct replay *r,
                  struct error *e)
{
    const struct node *input = port_graph(p)->node[0];
    const struct shape *s = &input->shape;
    struct images m = {.batch = (int)s->dim[0], .area = s->dim[2] * s->dim[3],
                       .count = shape_count(s), .mine = mine};
    double *room = malloc((size_t)m.count * 4 * sizeof *room);
    *r = (struct replay){.runner_up = INFINITY};
    if (!room)
        return fail(e, EXIT_USAGE, "out of memory for the image");
    m.right = room;
    m.trial = room + m.count;
    m.rows = room + 2 * m.count;
    m.wrong = room + 3 * m.count;
    for (int64_t i = 0; i < m.count; i++)
        m.right[i] = port_image(p)[i];
    ref64_transpose(m.batch, 3, m.area, m.right, m.rows);
    r->error = error_of(&m, m.right);
    r->pattern = pattern_of(input, mine, m.right, limit);
    const bool ok = try_all(&m, r, e);
    replay_rank(r, STEPS * limit);
    if (r->error <= limit)
        r->verdict = VERDICT_RIGHT;
    free(room);
    if (!ok)
        replay_free(r);
    return ok;
}
