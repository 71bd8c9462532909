#include "verify/port/replay.h"

#include "verify/metrics.h"
#include "ref/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCREEN_PIXELS = 32,         /* output pixels on which pairs are tried first */
    SHORT_LIST = 16,            /* pairs that are then run in full */
};

/* One search: the case and what several steps need. */
struct search {
    const struct replay_case *c;
    struct replay *r;
    double *right, *trial;      /* outputs of the node */
    int64_t pixel[SCREEN_PIXELS];
    int pixels;
    double *seen, *screen;      /* the port's output at those pixels, and a trial's */
    const struct convention *loud[MISTAKES];    /* mistakes that change something */
    int louds;
    struct error *e;
};

static double error_of(int64_t count, const double *x, const double *truth)
{
    return measure64(count, x, truth, NULL, NULL).rel_rms;
}

static bool add(struct replay *r, struct suspect s, struct error *e)
{
    if ((r->count & (r->count - 1)) == 0) {
        size_t room = r->count ? 2 * (size_t)r->count : 1;
        struct suspect *more = realloc(r->item, room * sizeof *more);
        if (!more)
            return fail(e, EXIT_USAGE, "out of memory for a list of mistakes");
        r->item = more;
    }
    r->item[r->count++] = s;
    return true;
}

static int by_error(const void *a, const void *b)
{
    const struct suspect *x = a, *y = b;
    return x->error < y->error ? -1 : x->error > y->error;
}

/* Output pixels for screening: half of them along the border, where some mistakes only
 * show, the others anywhere. */
static void choose_pixels(struct search *s)
{
    const struct shape *out = &s->c->node->shape;
    const bool nchw = s->c->node->op == OP_dcnv2;
    const int64_t height = out->dim[nchw ? 2 : 1], width = out->dim[nchw ? 3 : 2];
    const int64_t all = out->dim[0] * height * width;
    s->pixels = (int)(all < SCREEN_PIXELS ? all : SCREEN_PIXELS);
    for (int i = 0; i < s->pixels; i++) {
        int64_t at = i;
        if (all > SCREEN_PIXELS)
            at = (int64_t)(seeded_hash("screen", (uint64_t)i, 0) % (uint64_t)all);
        int64_t row = at / width % height, image = at / width / height, column = at % width;
        if (all > SCREEN_PIXELS && i % 2)
            row = i % 4 == 1 ? 0 : height - 1, column = i % 8 < 4 ? column : i % 3 ? 0 : width - 1;
        s->pixel[i] = (image * height + row) * width + column;
    }
}

/* The port's values there, [pixels, channels]. */
static void gather(const struct search *s)
{
    const struct shape *out = &s->c->node->shape;
    const bool nchw = s->c->node->op == OP_dcnv2;
    const int64_t channels = out->dim[nchw ? 1 : 3];
    const int64_t area = shape_count(out) / channels / out->dim[0];
    for (int i = 0; i < s->pixels; i++)
        for (int64_t k = 0; k < channels; k++) {
            int64_t image = s->pixel[i] / area, at = s->pixel[i] % area;
            s->seen[i * channels + k] = s->c->output[nchw ? (image * channels + k) * area + at
                                                          : s->pixel[i] * channels + k];
        }
}

static bool search_new(struct search *s, const struct replay_case *c, struct replay *r,
                       struct error *e)
{
    const int64_t count = shape_count(&c->node->shape);
    *s = (struct search){.c = c, .r = r, .e = e};
    *r = (struct replay){.runner_up = INFINITY};
    s->right = malloc((size_t)count * sizeof *s->right);
    s->trial = malloc((size_t)count * sizeof *s->trial);
    if (convention_by_pixel(c->node)) {
        int64_t channels = c->node->shape.dim[c->node->op == OP_dcnv2 ? 1 : 3];
        choose_pixels(s);
        s->seen = malloc((size_t)(s->pixels * channels) * sizeof *s->seen);
        s->screen = malloc((size_t)(s->pixels * channels) * sizeof *s->screen);
    }
    if (s->right && s->trial && (!s->pixels || (s->seen && s->screen)))
        return true;
    return fail(e, EXIT_USAGE, "out of memory to replay '%s'", c->node->name);
}

static void search_free(struct search *s)
{
    free(s->right);
    free(s->trial);
    free(s->seen);
    free(s->screen);
}

/* The port's error against the node's result under the mistakes. */
static bool try(struct search *s, const struct convention *a, const struct convention *b,
                double *error, double *effect)
{
    const struct node *n = s->c->node;
    const int64_t count = shape_count(&n->shape);
    if (!convention_apply(a, b, n, s->c->args, s->trial, s->e))
        return false;
    *error = error_of(count, s->c->output, s->trial);
    if (effect)
        *effect = error_of(count, s->trial, s->right);
    return true;
}

static bool try_singles(struct search *s)
{
    for (int i = 0; i < MISTAKES; i++) {
        const struct convention *c = convention_at(i);
        double error, effect;
        if (!convention_applies(c, s->c->node))
            continue;
        s->r->tried++;
        if (!try(s, c, NULL, &error, &effect))
            return false;
        if (effect <= s->c->limit) {
            s->r->silence[s->r->silent++] = c;
            continue;
        }
        s->loud[s->louds++] = c;
        if (!add(s->r, (struct suspect){c, NULL, error, NULL}, s->e))
            return false;
    }
    return true;
}

/* A pair's error on the screening pixels, or on everything for ops that are cheap. */
static bool screen(struct search *s, const struct convention *a, const struct convention *b,
                   double *error)
{
    if (!s->pixels)
        return try(s, a, b, error, NULL);
    const struct shape *out = &s->c->node->shape;
    int64_t channels = out->dim[s->c->node->op == OP_dcnv2 ? 1 : 3];
    if (!convention_apply_at(a, b, s->c->node, s->c->args, s->pixel, s->pixels, s->screen, s->e))
        return false;
    *error = error_of(s->pixels * channels, s->seen, s->screen);
    return true;
}

/* Every pair is screened; the best are run in full and join the list. */
static bool try_pairs(struct search *s)
{
    struct replay found = {0};
    bool ok = true;
    if (s->pixels)
        gather(s);
    for (int i = 0; ok && i < s->louds; i++)
        for (int k = i + 1; ok && k < s->louds; k++) {
            struct suspect x = {s->loud[i], s->loud[k], 0, NULL};
            if (!convention_pair(x.first, x.second, s->c->node))
                continue;
            s->r->pairs++;
            ok = screen(s, x.first, x.second, &x.error) && add(&found, x, s->e);
        }
    if (found.count)
        qsort(found.item, (size_t)found.count, sizeof *found.item, by_error);
    for (int i = 0; ok && i < found.count; i++) {
        if (i >= SHORT_LIST && !(found.item[i].error <= s->c->limit))
            break;
        ok = (!s->pixels || try(s, found.item[i].first, found.item[i].second,
                                &found.item[i].error, NULL))
          && add(s->r, found.item[i], s->e);
    }
    free(found.item);
    return ok;
}

/* Sorts, and counts how many reproduce the output. */
static void rank(struct replay *r, double limit)
{
    if (r->count)
        qsort(r->item, (size_t)r->count, sizeof *r->item, by_error);
    r->named = 0;
    while (r->named < r->count && r->item[r->named].error <= limit)
        r->named++;
    r->runner_up = r->named < r->count ? r->item[r->named].error : INFINITY;
}

static bool shares(const struct suspect *pair, const struct convention *c)
{
    return pair->second && (pair->first == c || pair->second == c);
}

/* Nothing fits within the limit: one mistake, or pair, that stands out all the same. Pairs of
 * that mistake with something that hardly matters here do not compete with it. */
static void rank_loosely(struct replay *r, double limit)
{
    const double best = r->count ? r->item[0].error : INFINITY;
    const struct convention *single = NULL;
    double next = INFINITY;
    int near = 0, leader = 0;
    while (near < r->count && r->item[near].error <= 4 * best)
        near++;
    for (int i = near - 1; i >= 0; i--)
        if (!r->item[i].second)
            single = r->item[leader = i].first;
    for (int i = 0; i < r->count; i++)
        if (i != leader && !(single ? shares(&r->item[i], single) : i < near))
            next = fmin(next, r->item[i].error);
    if (!(best <= LOOSE * limit) || next < LOOSE * best || r->error < LOOSE * best)
        return;
    struct suspect t = r->item[0];
    r->item[0] = r->item[leader];
    r->item[leader] = t;
    r->loose = true;
    r->named = single ? 1 : near;
    r->runner_up = next;
}

bool replay_add(struct replay *r, struct suspect s, struct error *e)
{
    r->tried++;
    return add(r, s, e);
}

void replay_rank(struct replay *r, double limit)
{
    rank(r, limit);
    if (!r->named)
        rank_loosely(r, limit);
    r->verdict = r->named ? VERDICT_NAMED : VERDICT_UNKNOWN;
}

bool replay_run(const struct replay_case *c, struct replay *r, struct error *e)
{
    struct search s;
    const int64_t count = shape_count(&c->node->shape);
    bool ok = search_new(&s, c, r, e);
    if (ok) {
        ref64_op_row(c->node->op)->forward(c->node, c->args, s.right);
        r->error = error_of(count, c->output, s.right);
        r->verdict = r->error <= c->limit ? VERDICT_RIGHT : VERDICT_UNKNOWN;
    }
    if (ok && r->verdict != VERDICT_RIGHT) {
        r->pattern = pattern_of(c->node, c->output, s.right, c->limit);
        ok = try_singles(&s);
        rank(r, c->limit);
        if (ok && !r->named) {
            ok = try_pairs(&s);
            rank(r, c->limit);
        }
        if (ok && !r->named)
            rank_loosely(r, c->limit);
        r->verdict = r->named ? VERDICT_NAMED : VERDICT_UNKNOWN;
    }
    search_free(&s);
    if (!ok)
        replay_free(r);
    return ok;
}

void replay_free(struct replay *r)
{
    free(r->item);
    r->item = NULL;
    r->count = r->named = 0;
}

const char *suspect_text(const struct suspect *s, char *buffer, int size)
{
    snprintf(buffer, (size_t)size, "%s%s%s", s->first->code, s->second ? " + " : "",
             s->second ? s->second->code : "");
    return buffer;
}
