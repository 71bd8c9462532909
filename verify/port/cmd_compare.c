/* internimage compare: a port's tensors against a golden model, layer by layer. */
#include "verify/commands.h"
#include "verify/options.h"
#include "verify/progress.h"

#include "report.h"

#include "datasets/sandbox.h"

#include <stdio.h>
#include <time.h>

struct compare_arguments {
    const char *golden, *mine, *map, *prefix, *type, *junit, *html;
    bool json, verbose, sandbox;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int report(const struct report *r, const struct compare_arguments *a, struct error *e)
{
    progress_end();
    if (a->json)
        report_json(r);
    else
        report_text(r, a->verbose);
    if ((a->junit && !report_junit(r, a->junit, e)) || (a->html && !report_html(r, a->html, e)))
        return (int)e->code;
    return r->result->failed ? EXIT_MISMATCH : EXIT_MATCH;
}

/* What another command needs to read MINE the same way. */
static void options_text(const struct compare_arguments *a, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s%s", a->map ? " --map " : "", a->map ? a->map : "",
             a->prefix ? " --prefix " : "", a->prefix ? a->prefix : "",
             a->type ? " --dtype " : "", a->type ? a->type : "");
}

static int compare(void *context, struct error *e)
{
    const struct compare_arguments *a = context;
    struct comparison c = {0};
    struct compare_options o = {.progress = progress};
    const double start = now();
    if (a->type && !number_find(a->type, &o.type)) {
        fail(e, EXIT_USAGE, "--dtype is fp32, fp16 or bf16, not '%s'", a->type);
        return EXIT_USAGE;
    }
    struct port *p = port_open(a->golden, a->mine,
                               (struct port_options){.map = a->map, .prefix = a->prefix}, e);
    if (!p || !compare_run(p, o, &c, e)) {
        port_close(p);
        return (int)e->code;
    }
    char options[1024];
    options_text(a, options, sizeof options);
    struct report r = {.golden = a->golden, .mine = a->mine, .options = options, .port = p,
                       .result = &c, .type = o.type, .seconds = now() - start};
    int code = report(&r, a, e);
    compare_free(&c);
    port_close(p);
    return code;
}

int cmd_compare(int argc, char **argv, struct error *e)
{
    struct compare_arguments a = {0};
    const struct option_spec spec[] = {
        {"--map", &a.map, NULL, "file of lines 'graph_name = their_name'"},
        {"--prefix", &a.prefix, NULL, "strip VALUE from the names in MINE"},
        {"--dtype", &a.type, NULL, "what the port computes in: fp32 (default), fp16, bf16"},
        {"--verbose", NULL, &a.verbose, "one line per layer"},
        {"--json", NULL, &a.json, "machine-readable, one object per layer"},
        {"--junit", &a.junit, NULL, "also write a JUnit file, one test case per layer"},
        {"--html", &a.html, NULL, "also write one HTML file with plots (needs gnuplot)"},
        {"--sandbox", NULL, &a.sandbox, "in a child process, 4 GiB of memory and 10 minutes"},
        {0},
    };
    int plain = options_parse(argc, argv, spec,
                              "internimage compare GOLDEN MINE [OPTIONS]\n\n"
                              "GOLDEN: a golden file of a model (docs/formats.md). MINE: HDF5, npz or\n"
                              "safetensors with the port's activations, named by PyTorch path.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain != 2) {
        fail(e, EXIT_USAGE, "give GOLDEN and MINE");
        return EXIT_USAGE;
    }
    a.golden = argv[0];
    a.mine = argv[1];
    return a.sandbox ? sandbox_run(compare, &a, &sandbox_usual, a.mine, e) : compare(&a, e);
}
