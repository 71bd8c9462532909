#include "finding.h"

#include <math.h>
#include <stdlib.h>

double ref32_bound(double terms)
{
    return FLOAT_UNIT * (16 + 4 * sqrt(terms));
}

/* Written so that a NaN error fails. */
static bool within(const struct metrics *m, double limit)
{
    return m->bad == 0 && m->rel_rms <= limit;
}

bool findings_add(struct findings *list, struct finding *f, struct error *e)
{
    double others = ENVELOPE_K * envelope_of(f->torch32.rel_rms, f->condition);
    f->ref32_limit *= f->condition;
    if (f->chained && f->has32 && others > f->ref32_limit)
        f->ref32_limit = others;
    f->torch32_limit = ENVELOPE_K * envelope_of(f->ref32.rel_rms, f->condition);
    f->pass = within(&f->ref32, f->ref32_limit)
           && (!f->has32 || within(&f->torch32, f->torch32_limit))
           && (!f->has_opt || within(&f->opt, f->torch32_limit))
           && (!f->has64 || within(&f->torch64, DOUBLE_LIMIT));
    if (list->count == list->room) {
        int room = list->room ? 2 * list->room : 256;
        struct finding *item = realloc(list->item, (size_t)room * sizeof *item);
        if (!item)
            return fail(e, EXIT_USAGE, "out of memory for %d findings", room);
        list->item = item;
        list->room = room;
    }
    list->item[list->count++] = *f;
    return true;
}

void findings_free(struct findings *list)
{
    free(list->item);
    *list = (struct findings){0};
}
