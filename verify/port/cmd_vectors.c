/* internimage vectors: the conformance suite written, and suites scored. */
#include "vectors.h"

#include "verify/commands.h"
#include "verify/options.h"
#include "verify/table.h"

#include <stdio.h>
#include <string.h>

static int killed_in(const struct score_row *r)
{
    int killed = 0;
    for (int i = 0; i < SCORE_COLUMNS; i++)
        killed += r->killed[i];
    return killed;
}

static int applied_in(const struct score_row *r)
{
    int applied = 0;
    for (int i = 0; i < SCORE_COLUMNS; i++)
        applied += r->applied[i];
    return applied;
}

/* Columns in which nothing applies are left out. */
static int used_columns(const struct score *s, int *column)
{
    int used = 0;
    for (int k = 0; k < s->columns; k++)
        for (int i = 0; i < s->rows; i++)
            if (s->row[i].applied[k]) {
                column[used++] = k;
                break;
            }
    return used;
}

static void print_row(struct table *t, const struct score_row *r, const int *column, int used)
{
    char cells[SCORE_COLUMNS * 16] = "";
    for (int k = 0; k < used; k++) {
        const int n = r->applied[column[k]];
        const size_t at = strlen(cells);
        if (n)
            snprintf(cells + at, sizeof cells - at, "|%d/%d", r->killed[column[k]], n);
        else
            snprintf(cells + at, sizeof cells - at, "|-");
    }
    table_row(t, "%s|%s%s|%s|%s", r->code, r->op, cells, killed_in(r) ? "killed" : "SURVIVES",
              r->title);
}

static void print_score(const struct score *s)
{
    struct table t = {0};
    int column[SCORE_COLUMNS], mutants, killed;
    const int used = used_columns(s, column);
    char head[SCORE_COLUMNS * 40] = "";
    for (int k = 0; k < used; k++)
        snprintf(head + strlen(head), sizeof head - strlen(head), "|%s", s->column[column[k]]);
    table_row(&t, "code|on%s||the mistake", head);
    for (int i = 0; i < s->rows; i++)
        if (applied_in(&s->row[i]))
            print_row(&t, &s->row[i], column, used);
    table_print(&t, stdout);
    table_free(&t);
    score_total(s, &mutants, &killed);
    printf("\nA cell says how many of the cases that the mistake can befall notice it.\n");
    if (s->false_alarms)
        printf("FALSE ALARMS: the right result is refused for %d of %d tensors; first %s\n",
               s->false_alarms, s->tensors, s->alarm);
    printf("%d of %d mistakes killed (%.1f %%) by %d cases, %d tensors; %d of the catalogue can "
           "befall none of them\n", killed, mutants, mutants ? 100.0 * killed / mutants : 0,
           s->cases, s->tensors, s->rows - mutants);
}

static void print_json(const struct score *s)
{
    struct json j = {.to = stdout, .first = true};
    int mutants, killed;
    score_total(s, &mutants, &killed);
    json_open(&j, NULL, '{');
    json_int(&j, "mutants", mutants);
    json_int(&j, "killed", killed);
    json_int(&j, "not_applicable", s->rows - mutants);
    json_int(&j, "cases", s->cases);
    json_int(&j, "tensors", s->tensors);
    json_int(&j, "false_alarms", s->false_alarms);
    json_open(&j, "mistakes", '[');
    for (int i = 0; i < s->rows; i++) {
        const struct score_row *r = &s->row[i];
        if (!applied_in(r))
            continue;
        json_open(&j, NULL, '{');
        json_string(&j, "code", r->code);
        json_string(&j, "op", r->op);
        json_string(&j, "title", r->title);
        json_int(&j, "cases", applied_in(r));
        json_int(&j, "killed_by", killed_in(r));
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
}

static int score(const char *folder, bool quick, bool json, struct error *e)
{
    struct score s;
    int mutants, killed;
    const bool ok = vectors_score(folder, quick, &s, e);
    if (ok && json)
        print_json(&s);
    else if (ok)
        print_score(&s);
    score_total(&s, &mutants, &killed);
    const bool all = killed == mutants && s.false_alarms == 0;
    score_free(&s);
    return !ok ? (int)e->code : all ? EXIT_MATCH : EXIT_MISMATCH;
}

int cmd_vectors(int argc, char **argv, struct error *e)
{
    const char *only = NULL, *recreate = NULL, *scored = NULL;
    bool quick = false, json = false;
    const struct option_spec spec[] = {
        {"--only", &only, NULL, "write only the files whose name begins so: ops, modules, pico, t"},
        {"--score", &scored, NULL, "every wrong convention against the suite in VALUE"},
        {"--quick", NULL, &quick, "with --score: a mistake noticed once is not tried again"},
        {"--json", NULL, &json, "with --score: for a machine"},
        {"--recreate", &recreate, NULL, "write the settings of a public suite: internimage or "
                                        "torchvision"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage vectors DIR [--only NAME]\n"
                              "       internimage vectors --recreate SUITE DIR\n"
                              "       internimage vectors --score DIR [--quick] [--json]\n\n"
                              "Writes a conformance suite for ports in any language to DIR (54 MB): inputs,\n"
                              "expected results, the rule of comparison. --score: how many of the known\n"
                              "mistakes a suite notices; see docs/vectors.md.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain != (scored ? 0 : 1)) {
        fail(e, EXIT_USAGE, scored ? "--score has its folder: give no other" : "give one folder "
             "(--help says more)");
        return EXIT_USAGE;
    }
    if (scored)
        return score(scored, quick, json, e);
    if (!(recreate ? vectors_recreate(recreate, argv[0], e) : vectors_write(argv[0], only, e)))
        return (int)e->code;
    printf("%s: README.md says what is in it\n", argv[0]);
    return EXIT_MATCH;
}
