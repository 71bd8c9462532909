#include "numerics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum side { SIDE_REF32, SIDE_TORCH64, SIDE_OPT, SIDES };
static const char *const side_names[SIDES] = {"ref32", "torch64", "opt"};

/* Below these an error is a matter of single roundings, and may be any multiple of itself. */
static const double floor_of[SIDES] = {FLOAT_UNIT / 8, 0x1p-53, FLOAT_UNIT / 8};

struct line {
    const char *unit;
    enum direction direction;
    enum side side;
    double error;
};

struct lines {
    struct line *item;
    int count;
};

static void line_add(struct lines *l, const struct finding *f, enum side side, double error)
{
    for (int i = l->count - 1; i >= 0; i--) {
        struct line *at = &l->item[i];
        if (at->side == side && at->direction == f->direction && !strcmp(at->unit, f->unit)) {
            at->error = error > at->error || error != error ? error : at->error;
            return;
        }
    }
    l->item[l->count++] = (struct line){f->unit, f->direction, side, error};
}

static bool lines_of(const struct findings *found, struct lines *l, struct error *e)
{
    l->item = calloc((size_t)found->count * 2 + 1, sizeof *l->item);
    l->count = 0;
    if (!l->item)
        return fail(e, EXIT_USAGE, "out of memory");
    for (int i = 0; i < found->count; i++) {
        const struct finding *f = &found->item[i];
        if (f->has_opt)
            line_add(l, f, SIDE_OPT, f->opt.rel_rms);
        else
            line_add(l, f, SIDE_REF32, f->ref32.rel_rms);
        if (f->has64)
            line_add(l, f, SIDE_TORCH64, f->torch64.rel_rms);
    }
    return true;
}

bool numerics_write(const char *path, const struct findings *found, struct error *e)
{
    struct lines l;
    FILE *to = lines_of(found, &l, e) ? fopen(path, "w") : NULL;
    bool ok = to != NULL;
    for (int i = 0; ok && i < l.count; i++)
        fprintf(to, "%.2e %s %s %s\n", l.item[i].error,
                l.item[i].direction == GRADIENT ? "gradient" : "forward",
                side_names[l.item[i].side], l.item[i].unit);
    if (to && fclose(to))
        ok = false;
    free(l.item);
    return ok || fail(e, EXIT_BAD_FILE, "%s: %s", path, strerror(errno));
}

/* The line of now that `text` records; its value in *recorded. NULL: it did not run. */
static struct line *find(struct lines *l, const char *text, double *recorded, bool *well_formed,
                         bool *everywhere)
{
    char direction[16], side[16], unit[160];
    *well_formed = sscanf(text, "%lf %15s %15s %159[^\n]", recorded, direction, side, unit) == 4;
    *everywhere = *well_formed && strcmp(side, side_names[SIDE_OPT]) != 0;
    for (int i = 0; *well_formed && i < l->count; i++) {
        struct line *at = &l->item[i];
        if (!strcmp(at->unit, unit) && !strcmp(side_names[at->side], side)
            && (at->direction == GRADIENT) == !strcmp(direction, "gradient"))
            return at;
    }
    return NULL;
}

static bool compare_line(struct lines *l, const char *text, bool all, int *compared, int *lost)
{
    double recorded;
    bool well_formed, everywhere;
    const struct line *now = find(l, text, &recorded, &well_formed, &everywhere);
    if (!well_formed)
        return false;
    if (!now) {
        if (all && everywhere) {
            printf("NUMERICS: did not run: %s", text);
            ++*lost;
        }
        return true;
    }
    ++*compared;
    const double least = recorded > floor_of[now->side] ? recorded : floor_of[now->side];
    if (!(now->error <= NUMERICS_FACTOR * least)) {
        printf("NUMERICS: %s %s %s lost accuracy: %.2e, recorded %.2e (%.1fx)\n", now->unit,
               now->direction == GRADIENT ? "gradient" : "forward", side_names[now->side],
               now->error, recorded, now->error / least);
        ++*lost;
    }
    return true;
}

bool numerics_compare(const char *path, const struct findings *found, bool all, int *lost,
                      struct error *e)
{
    char text[512];
    struct lines l;
    int compared = 0;
    bool ok = true;
    FILE *from = lines_of(found, &l, e) ? fopen(path, "r") : NULL;
    *lost = 0;
    if (!from) {
        free(l.item);
        return fail(e, EXIT_BAD_FILE, "%s: %s", path, strerror(errno));
    }
    while (ok && fgets(text, sizeof text, from))
        ok = compare_line(&l, text, all, &compared, lost)
          || fail(e, EXIT_BAD_FILE, "%s: '%.*s' is no line of a record", path,
               (int)strcspn(text, "\r\n"), text);
    fclose(from);
    free(l.item);
    if (ok && !compared)
        return fail(e, EXIT_INCONCLUSIVE, "%s has none of the cases that ran", path);
    if (ok)
        fprintf(stderr, "accuracy: %d figures compared with %s, %d lost\n", compared, path, *lost);
    return ok;
}
