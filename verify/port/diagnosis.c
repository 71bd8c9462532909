#include "verify/port/diagnosis.h"

#include "verify/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NEAREST = 3 };

int diagnosis_code(const struct diagnosis *d)
{
    const struct replay *r = &d->replay;
    if (d->block || r->pattern.bad)
        return EXIT_MISMATCH;
    return r->verdict == VERDICT_RIGHT ? EXIT_MATCH
         : r->verdict == VERDICT_NAMED ? EXIT_MISMATCH : EXIT_INCONCLUSIVE;
}

static void print_mistake(const struct convention *c)
{
    printf("%s  %s\n      fix: %s\n", c->code, c->title, c->fix);
}

/* "38 times further away" */
static void print_confidence(const struct replay *r)
{
    const double best = fmax(r->item[0].error, 1e-9);
    printf("      reproduces the output to %.2g%s", r->item[0].error,
           r->loose ? ", more than rounding explains, and" : "");
    if (r->named < r->count)
        printf("%s of %d others the nearest is off by %.2g, %.3g times as much",
               r->loose ? "" : ";",
               r->tried + r->pairs - r->named - r->silent, r->runner_up, r->runner_up / best);
    printf("\n");
}

static void print_named(const struct replay *r)
{
    char text[32];
    print_mistake(r->item[0].first);
    if (r->item[0].second)
        print_mistake(r->item[0].second);
    if (r->item[0].at)
        printf("      in %s, which MINE lacks\n", r->item[0].at->name);
    print_confidence(r);
    for (int i = 1; i < r->named; i++)
        printf("or    %s%s%s, which gives the same here: %s%s%s\n",
               suspect_text(&r->item[i], text, sizeof text), r->item[i].at ? " in " : "",
               r->item[i].at ? r->item[i].at->name : "", r->item[i].first->title,
               r->item[i].second ? "; " : "", r->item[i].second ? r->item[i].second->title : "");
    printf("next: internimage explain %s\n", r->item[0].first->code);
}

static void print_unknown(const struct replay *r, double limit, bool image)
{
    char text[32];
    if (r->error <= LOOSE * limit && !image)
        printf("so little looks like rounding, not like a mistake: sums or coordinates in fewer "
               "bits than\nthey need (PyTorch's DCNv3 through grid_sample loses 1e-5 on large "
               "images)\n");
    printf("none of %d mistakes and %d pairs of them reproduces it\n", r->tried, r->pairs);
    if (!isfinite(r->error))
        printf("the right result is NaN or infinite where this is not: so is what goes in, then; give "
               "finite\nvalues to learn more (internimage inspect counts them)\n");
    for (int i = 0; i < r->count && i < NEAREST; i++)
        printf("%s %s, off by %.2g (as it should be: %.2g)\n", i ? "     " : "near:",
               suspect_text(&r->item[i], text, sizeof text), r->item[i].error, r->error);
    printf(image ? "next: feed the golden's `input`; how another picture was resized cannot be told\n"
           : "next: look at this layer's code; internimage explain lists what has been tried\n");
}

static void print_block(const struct diagnosis *d)
{
    print_mistake(d->block);
    printf("      every layer of the block is right to %.2g when it is run that way\n",
           d->block_error);
    printf("next: internimage explain %s\n", d->block->code);
}

void diagnosis_print(const struct diagnosis *d, bool verbose)
{
    const struct replay *r = &d->replay;
    char text[1024];
    printf("%s (%s)\n", d->layer, ref64_op_row(d->node->op)->name);
    if (r->verdict == VERDICT_RIGHT) {
        printf("right: off by %.2g, %s rounding explains %.2g\n", r->error, d->type, d->limit);
        return;
    }
    if (isfinite(r->error))
        printf("wrong: off by %.2g, %s rounding explains %.2g\n", r->error, d->type, d->limit);
    if (*pattern_text(d->node, &r->pattern, text, sizeof text))
        printf("%s\n", text);
    if (d->overflow)
        printf("the right values do not fit %s: scale them down, or keep this layer in float32\n",
               d->type);
    printf("\n");
    if (d->block)
        print_block(d);
    else if (r->named)
        print_named(r);
    else if (r->pattern.bad)
        printf("no value of a finite input should be so: look for an overflow, a division by zero "
               "or memory\nthat was never written\n");
    else
        print_unknown(r, d->limit, d->node->op == OP_input);
    if (!verbose || !r->silent)
        return;
    printf("\nwould change nothing here, so this cannot tell:");
    for (int i = 0; i < r->silent; i++)
        printf(" %s", r->silence[i]->code);
    printf("\n");
}

/* --- for machines ------------------------------------------------------------------------ */

static void json_mistake(struct json *j, const struct convention *c, double error)
{
    json_open(j, NULL, '{');
    json_string(j, "code", c->code);
    json_string(j, "title", c->title);
    json_string(j, "fix", c->fix);
    json_number(j, "error", error);
    json_close(j, '}');
}

static void json_suspects(struct json *j, const char *key, const struct replay *r, int from, int to)
{
    char text[32];
    json_open(j, key, '[');
    for (int i = from; i < to; i++) {
        const struct suspect *s = &r->item[i];
        json_open(j, NULL, '{');
        json_string(j, "name", suspect_text(s, text, sizeof text));
        json_number(j, "error", s->error);
        if (s->at)
            json_string(j, "layer", s->at->name);
        json_open(j, "mistakes", '[');
        json_mistake(j, s->first, s->error);
        if (s->second)
            json_mistake(j, s->second, s->error);
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
}

void diagnosis_json(const struct diagnosis *d)
{
    const struct replay *r = &d->replay;
    const int code = diagnosis_code(d), nearest = r->named + NEAREST;
    char text[1024];
    struct json j = {.to = stdout, .first = true};
    json_open(&j, NULL, '{');
    json_string(&j, "layer", d->layer);
    json_string(&j, "op", ref64_op_row(d->node->op)->name);
    json_string(&j, "verdict", code == EXIT_MATCH ? "right"
                             : code == EXIT_MISMATCH ? "named" : "unknown");
    json_string(&j, "dtype", d->type);
    json_number(&j, "error", r->error);
    json_number(&j, "limit", d->limit);
    if (r->verdict != VERDICT_RIGHT)
        json_string(&j, "pattern", pattern_text(d->node, &r->pattern, text, sizeof text));
    json_int(&j, "nonfinite", r->pattern.bad);
    json_bool(&j, "overflow", d->overflow);
    json_suspects(&j, "named", r, 0, r->named);
    json_suspects(&j, "nearest", r, r->named, nearest < r->count ? nearest : r->count);
    json_open(&j, "block", '[');
    if (d->block)
        json_mistake(&j, d->block, d->block_error);
    json_close(&j, ']');
    json_number(&j, "runner_up", r->runner_up);
    json_int(&j, "tried", r->tried);
    json_int(&j, "pairs", r->pairs);
    json_open(&j, "silent", '[');
    for (int i = 0; i < r->silent; i++)
        json_string(&j, NULL, r->silence[i]->code);
    json_close(&j, ']');
    json_close(&j, '}');
    printf("\n");
}
