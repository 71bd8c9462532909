/* internimage: deformable convolution and InternImage, defined, fast, judged. */
#include "about.h"
#include "commands.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, struct error *e);
    const char *summary;
} commands[] = {
    {"verify", cmd_verify, "the reference and PyTorch against the double reference, one table"},
    {"vectors", cmd_vectors, "a conformance suite for ports in any language; how good a suite is"},
    {"convert", cmd_convert, "offsets and masks between the conventions of DCNv2, DCNv3, DCNv4"},
    {"bench", cmd_bench, "speed: milliseconds, share of this machine's peak, time per step"},
    {"tables", cmd_tables, "the paper's tables, recomputed: tables params, sharing, ..."},
    {"compare", cmd_compare, "a port's tensors against a golden model: the first wrong layer"},
    {"run", cmd_run, "one image through a model, the best classes"},
    {"plot", cmd_plot, "numbers behind the figures: plot sampling"},
    {"train", cmd_train, "a model on Fashion-MNIST or CIFAR-10, to a weight file"},
    {"accuracy", cmd_accuracy, "top-1 and top-5 of a weight file on Fashion-MNIST, CIFAR-10, a pack"},
    {"ablate", cmd_ablate, "the ablations of the paper, trained with one budget and several seeds"},
    {"erf", cmd_erf, "effective receptive fields, before and after training"},
    {"robustness", cmd_robustness, "predictions under translation, rotation and scaling"},
    {"weights", cmd_weights, "a weight file from the seeded generator"},
    {"diagnose", cmd_diagnose, "which mistake a port makes: one op, or the first wrong layer of a model"},
    {"explain", cmd_explain, "the catalogue of mistakes: what people do, how it looks, the fix"},
    {"inspect", cmd_inspect, "what is in an HDF5, npz, npy or safetensors file: shapes, ranges, NaN"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *to)
{
    fputs("usage: internimage COMMAND [OPTIONS]     (internimage COMMAND --help, --version)\n\n", to);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nexit codes: 0 match, 1 mismatch, 2 usage, 3 bad file, 4 not in this build, "
          "5 inconclusive\n", to);
}

static void version(void)
{
    printf("internimage %s\n", about_text("version"));
    for (int i = 1; i < ABOUT_ITEMS; i++)
        printf("%-9s %s\n", about()[i].key, about()[i].text);
}

int main(int argc, char **argv)
{
    struct error e = {0};
    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        usage(stdout);
        return 0;
    }
    if (argc >= 2 && !strcmp(argv[1], "--version")) {
        version();
        return 0;
    }
    for (int i = 0; argc >= 2 && i < COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1]))
            continue;
        int code = commands[i].run(argc - 2, argv + 2, &e);
        if (e.text[0])
            fprintf(stderr, "internimage %s: %s\n", argv[1], e.text);
        return e.text[0] ? (int)e.code : code;
    }
    if (argc >= 2)
        fprintf(stderr, "internimage: there is no command '%s'\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
