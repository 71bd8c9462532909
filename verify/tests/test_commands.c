/* What the judge's commands say to people who give them the wrong thing: an exit code and a
 * sentence that says what and where, and nothing of theirs is lost. */
#include "datasets/npz.h"
#include "ref/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PICO "datasets/goldens/pico.h5"

static char folder[] = "/tmp/test_commands.XXXXXX";
static char output[1 << 16];

/* Runs `internimage ARGUMENTS`, in which @ stands for the folder; keeps what it prints. */
static int command(const char *arguments)
{
    char line[2048];
    const char *program = getenv("INTERNIMAGE");
    size_t used = (size_t)snprintf(line, sizeof line, "%s ",
                                   program ? program : "build/internimage");
    for (; *arguments && used < sizeof line - 64; arguments++) {
        const char letter[] = {*arguments, 0};
        strcpy(line + used, *arguments == '@' ? folder : letter);
        used += strlen(line + used);
    }
    strcpy(line + used, " 2>&1 </dev/null");
    FILE *f = popen(line, "r");
    assert_non_null(f);
    const size_t n = fread(output, 1, sizeof output - 1, f);
    output[n] = 0;
    const int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void must_say(const char *arguments, int code, const char *text)
{
    const int had = command(arguments);
    if (had != code || !strstr(output, text))
        fail_msg("internimage %s: %d, expected %d and '%s':\n%s", arguments, had, code, text,
                 output);
}

struct wrong {
    const char *arguments;
    int code;
    const char *says;
};

static void all_must_say(const struct wrong *w, size_t count)
{
    for (size_t i = 0; i < count; i++)
        must_say(w[i].arguments, w[i].code, w[i].says);
}
#define ALL_MUST_SAY(list) all_must_say(list, sizeof list / sizeof *list)

/* --- the files --------------------------------------------------------------------------- */

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* One tensor, all of it `value`. */
static void write_one(const char *name, const char *tensor, int64_t batch, float value)
{
    const int64_t dim[] = {batch, 10};
    float v[20];
    for (int i = 0; i < 20; i++)
        v[i] = value;
    struct npz_file *f = npz_create(in_folder(name), NULL);
    assert_true(npz_write_f32(f, tensor, 2, dim, v, NULL) && npz_close(f, NULL));
}

/* A DCNv3 call of two groups, kernel 3, pad 1; channels of the offset and one value of the input
 * as given. */
static void write_op(const char *name, int64_t offsets, bool output_too, float first)
{
    const struct { const char *name; int64_t channels; } tensor[] = {
        {"input", 4}, {"offset", offsets}, {"mask", 18}, {"output", 4},
    };
    float v[2 * 3 * 40];
    struct npz_file *f = npz_create(in_folder(name), NULL);
    for (int i = 0; i < (output_too ? 4 : 3); i++) {
        const int64_t dim[] = {1, 2, 3, tensor[i].channels};
        for (int k = 0; k < 2 * 3 * 40; k++)
            v[k] = sinf((float)(k + 100 * i));
        v[7] = i == 0 ? first : v[7];
        assert_true(npz_write_f32(f, tensor[i].name, 4, dim, v, NULL));
    }
    assert_true(npz_close(f, NULL));
}

static int files_new(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || mkdir(in_folder("none"), 0777))
        return -1;
    write_text("text", "hello\n");
    write_text("empty", "");
    write_text("comments.map", "# nothing\n\n");
    write_text("words.map", "head\n");
    write_one("mine.npz", "head", 2, 0);
    write_one("zero.npz", "head", 0, 0);
    write_one("nan.npz", "head", 2, NAN);
    write_one("tail.npz", "tail", 2, 0);
    write_op("op.npz", 36, true, 1);
    write_op("half_op.npz", 36, false, 1);
    write_op("odd_op.npz", 35, true, 1);
    write_op("nan_op.npz", 36, true, NAN);
    return npz_close(npz_create(in_folder("empty.npz"), NULL), NULL) ? 0 : -1;
}

static int files_remove(void **state)
{
    char line[64];
    (void)state;
    snprintf(line, sizeof line, "rm -r %s", folder);
    return system(line);
}

/* --- what is said ------------------------------------------------------------------------ */

static void compare_says(void **state)
{
    static const struct wrong list[] = {
        {"compare", 2, "give GOLDEN and MINE"},
        {"compare " PICO " @/nowhere.npz", 3, "/nowhere.npz: there is no such file"},
        {"compare " PICO " @", 3, ": not a regular file"},
        {"compare " PICO " @/text", 3, "/text: neither HDF5, npz, npy nor safetensors (6 bytes)"},
        {"compare " PICO " @/empty", 3, "(0 bytes)"},
        {"compare " PICO " @/empty.npz", 5, "/empty.npz: there is no tensor in it"},
        {"compare " PICO " @/tail.npz", 5, "none of its 1 tensors has the name of a layer"},
        {"compare @/text " PICO, 3, "/text: not an HDF5 file, or damaged (6 bytes)"},
        {"compare datasets/goldens/ops.h5 " PICO, 3, "a golden of kind 'ops', expected 'model'"},
        {"compare " PICO " @/zero.npz", 1, "its shape is 0x10, expected 2x10"},
        {"compare " PICO " @/zero.npz", 1, "\n1 layers: 0 passed, 1 failed, 1 of them by"},
        {"compare " PICO " @/nan.npz", 1, "NaN or Inf disagree at 20 places"},
        {"compare " PICO " @/mine.npz --dtype fp8", 2, "--dtype is fp32, fp16 or bf16, not 'fp8'"},
        {"compare @ @/mine.npz", 3, ": not a regular file"},
        {"compare " PICO " @/mine.npz --map @/nowhere", 3, "/nowhere: No such file or directory"},
        {"compare " PICO " @/mine.npz --map @", 3, ": Is a directory"},
        {"compare " PICO " @/mine.npz --map @/empty", 3, "there is no line 'graph_name = "},
        {"compare " PICO " @/mine.npz --map @/comments.map", 3, "there is no line 'graph_name = "},
        {"compare " PICO " @/mine.npz --map @/words.map", 3, "line 1 is not 'graph_name = "},
        {"compare " PICO " @/mine.npz --junit @/no/x", 2, "/no/x: cannot be written: No such"},
        {"compare " PICO " @/mine.npz --sandbox", 1, "first divergent layer: head"},
        {"compare " PICO " @/text --sandbox", 3, "/text: neither HDF5"},
    };
    (void)state;
    ALL_MUST_SAY(list);
}

static void diagnose_says(void **state)
{
    static const struct wrong list[] = {
        {"diagnose", 2, "give FILE, or GOLDEN and MINE"},
        {"diagnose " PICO, 2, "no tensor called 'offset': of which op is it?"},
        {"diagnose @/empty.npz", 2, "no tensor called 'offset': of which op is it?"},
        {"diagnose @/half_op.npz --pad 1 --groups 2", 3, "there is no tensor called 'output'"},
        {"diagnose @/odd_op.npz --pad 1 --groups 2", 3, "offset must be 1x2x3x36, is 1x2x3x35"},
        {"diagnose @/op.npz --pad 1 --groups 3", 3, "4 channels do not divide into 3 groups"},
        {"diagnose @/op.npz --kernel 0", 3, "kernel 0x0 stride 1x1 pad 0x0 dilation 1x1 makes no"},
        {"diagnose @/op.npz --kernel three", 2, "kernel must be one number or two"},
        {"diagnose @/op.npz --pad 1 --groups 2", 5, "next: look at this layer's code"},
        {"diagnose @/nan_op.npz --pad 1 --groups 2", 5, "so is what goes in, then"},
        {"diagnose " PICO " @/zero.npz", 5, "head has another shape than it should"},
        {"diagnose " PICO " @/nan.npz", 1, "20 values are NaN or infinite"},
        {"diagnose " PICO " @/mine.npz", 5, "Every value is zero: was the output ever written?"},
        {"diagnose " PICO " @/mine.npz --layer tail", 2, "the model has no layer 'tail'"},
        {"diagnose " PICO " @/mine.npz --layer pool", 5, "does not hold all of pool"},
        {"explain XX01", 2, "there is no mistake 'XX01'"},
    };
    (void)state;
    ALL_MUST_SAY(list);
}

static void the_others_say(void **state)
{
    static const struct wrong list[] = {
        {"inspect @", 3, ": not a regular file"},
        {"inspect @/text", 3, "neither HDF5, npz, npy nor safetensors"},
        {"inspect @/zero.npz", 0, "[0,10]"},
        {"inspect @/nan.npz", 0, "20 NaN and 0 Inf"},
        {"vectors", 2, "give one folder"},
        {"vectors @/no/folder", 2, "/no/folder: cannot be made: No such file or directory"},
        {"vectors @/text", 2, "/text/manifest.json: cannot be written: Not a directory"},
        {"vectors @/v --only opps", 2, "no file of the suite has a name that begins with 'opps'"},
        {"vectors --score @/none", 5, "/none: there are no cases in it"},
        {"vectors --recreate mmcv @/v", 2, "no suite is called 'mmcv'"},
        {"convert @/op.npz", 2, "give one file and -o FILE"},
        {"convert --from dcnv3 --to mmcv @/op.npz -o @/c.npz", 2, "--to mmcv: give dcnv2,"},
        {"convert --from dcnv3 --to dcnv2 @/text -o @/c.npz", 3, "neither HDF5"},
        {"convert --from dcnv3 --to dcnv2 @/odd_op.npz -o @/c.npz", 3, "35 channels of offsets "},
        {"convert --from dcnv3 --to dcnv2 @/op.npz --kernel 5 -o @/c.npz", 3,
         "36 channels of offsets do not fit a 5x5 kernel (dcnv3, [N,H,W,C]): one group has 50"},
        {"convert --from dcnv3 --to dcnv2 @/empty.npz -o @/c.npz", 3, "no tensor 'offset'"},
        {"convert --from dcnv3 --to dcnv2 @/op.npz -o @/no/c.npz", 3, "/c.npz: cannot be created"},
        {"verify --goldens @/nowhere", 3, "/nowhere: there is no such file"},
        {"verify --goldens @/none", 3, "/none: there is no .h5 file in it"},
        {"verify --goldens " PICO " --filter nothing", 5, "no name contains nothing"},
        {"verify --plugin @/text", 3, "cannot be loaded"},
    };
    (void)state;
    ALL_MUST_SAY(list);
}

/* The report's pictures need gnuplot: without it the table is printed all the same, and what
 * lies at the report's place stays. */
static void without_gnuplot(void **state)
{
    char *path = strdup(getenv("PATH")), text[64] = "";
    (void)state;
    write_text("report.html", "mine");
    setenv("PATH", in_folder("none"), 1);
    must_say("compare " PICO " @/nan.npz --html @/report.html", EXIT_NOT_BUILT,
             "gnuplot is not installed; the plots need it");
    setenv("PATH", path, 1);
    free(path);
    assert_non_null(strstr(output, "first divergent layer: head"));
    FILE *f = fopen(in_folder("report.html"), "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    assert_string_equal(text, "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_says),
        cmocka_unit_test(diagnose_says),
        cmocka_unit_test(the_others_say),
        cmocka_unit_test(without_gnuplot),
    };
    return cmocka_run_group_tests(tests, files_new, files_remove);
}
