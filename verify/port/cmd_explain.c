/* internimage explain: the catalogue of mistakes in words. */
#include "verify/commands.h"
#include "verify/options.h"
#include "verify/port/explain.h"

int cmd_explain(int argc, char **argv, struct error *e)
{
    bool markdown = false;
    const struct option_spec spec[] = {
        {"--markdown", NULL, &markdown, "the whole catalogue as a page (docs/mistakes.md)"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage explain [CODE]\n\n"
                              "Without CODE: the known mistakes, one line each. With: what people do, what\n"
                              "one sees, how it is put right.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    const struct convention *c = plain == 1 ? convention_find(argv[0]) : NULL;
    if (plain > 1 || (plain == 1 && (markdown || !c))) {
        fail(e, EXIT_USAGE, plain == 1 && !c ? "there is no mistake '%s'; `internimage explain` "
             "lists them" : "give one CODE, or none for the list", argv[0]);
        return EXIT_USAGE;
    }
    if (markdown)
        explain_markdown(stdout);
    else if (c)
        explain_one(stdout, c);
    else
        explain_all(stdout);
    return EXIT_MATCH;
}
