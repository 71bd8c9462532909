#include "verify/port/explain.h"

#include <string.h>

enum { WIDTH = 88 };

/* A paragraph, broken at spaces. */
static void wrap(FILE *to, const char *indent, const char *text)
{
    const int room = WIDTH - (int)strlen(indent);
    while (*text) {
        int length = (int)strlen(text), cut = length <= room ? length : room;
        while (cut < length && cut > 0 && text[cut] != ' ')
            cut--;
        cut = cut ? cut : room;
        fprintf(to, "%s%.*s\n", indent, cut, text);
        text += cut;
        while (*text == ' ')
            text++;
    }
}

/* "dcnv2, dcnv3" */
static void print_ops(FILE *to, uint32_t ops)
{
    bool first = true;
    for (int op = 0; op < OP_COUNT; op++)
        if (ops >> op & 1) {
            fprintf(to, "%s%s", first ? "" : ", ", ref64_op_row((enum op_kind)op)->name);
            first = false;
        }
    if (first)
        fputs("a block of a model", to);
}

/* The figure's lines, indented. */
static void print_figure(FILE *to, const char *indent, const char *figure)
{
    while (*figure) {
        const char *end = strchr(figure, '\n');
        fprintf(to, "%s%.*s\n", end == figure ? "" : indent, (int)(end - figure), figure);
        figure = end + 1;
    }
}

void explain_one(FILE *to, const struct convention *c)
{
    const struct convention_family *f = convention_family(c->family);
    fprintf(to, "%s  %s\n", c->code, c->title);
    fputs("happens to: ", to);
    print_ops(to, c->ops);
    fprintf(to, "\n\n%s\n", f->title);
    wrap(to, "  ", f->story);
    fputc('\n', to);
    print_figure(to, "  ", f->figure);
    fputs("\nWhat one sees\n", to);
    wrap(to, "  ", c->symptom);
    fputs("\nThe fix\n", to);
    wrap(to, "  ", c->fix);
    fputs("\nSeen in\n", to);
    wrap(to, "  ", f->evidence);
    fputs("\nRelated: ", to);
    for (int i = 0, n = 0; i < MISTAKES; i++)
        if (convention_at(i)->family == c->family && convention_at(i) != c)
            fprintf(to, "%s%s", n++ ? " " : "", convention_at(i)->code);
    fputc('\n', to);
}

void explain_all(FILE *to)
{
    for (int f = 0; f < FAMILIES; f++) {
        fprintf(to, "%s\n", convention_family((enum family)f)->title);
        for (int i = 0; i < MISTAKES; i++)
            if (convention_at(i)->family == (enum family)f)
                fprintf(to, "  %s  %s\n", convention_at(i)->code, convention_at(i)->title);
    }
    fputs("\ninternimage explain CODE tells the story of one\n", to);
}

void explain_markdown(FILE *to)
{
    fprintf(to, "# %d ways to get it wrong\n\n", MISTAKES);
    wrap(to, "", "Made by `internimage explain --markdown` (`make mistakes`) from the table that "
         "`internimage diagnose` searches; do not edit. Every one can be made on purpose "
         "(`internimage run --plant`), and is recognised by its result (docs/diagnose.md).");
    for (int f = 0; f < FAMILIES; f++) {
        const struct convention_family *family = convention_family((enum family)f);
        fprintf(to, "\n## %s\n\n", family->title);
        wrap(to, "", family->story);
        fputc('\n', to);
        print_figure(to, "    ", family->figure);
        fputs("\n| code | what the port does | what one sees | the fix |\n|---|---|---|---|\n", to);
        for (int i = 0; i < MISTAKES; i++) {
            const struct convention *c = convention_at(i);
            if (c->family == (enum family)f)
                fprintf(to, "| %s | %s | %s | %s |\n", c->code, c->title, c->symptom, c->fix);
        }
        fputs("\nSeen in: ", to);
        fprintf(to, "%s\n", family->evidence);
    }
}
