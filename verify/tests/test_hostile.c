/* Malformed files, through the program itself: each must end with exit code 3 and one
 * sentence on stderr - no crash, no other code. Under `make SAN=address,undefined` a
 * memory error is an abort and so a failure here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[256];
static const char *program;
static int tried;

/* --- running the program ------------------------------------------------------- */

/* Exit code; the first line of stderr goes to `line`, *lines counts them. */
static int run(const char *arguments, char *line, size_t size, int *lines)
{
    char command[2048], more[2048];
    snprintf(command, sizeof command, "timeout 60 %s %s 2>&1 >/dev/null", program, arguments);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    *lines = 0;
    line[0] = 0;
    while (fgets(more, sizeof more, p)) {
        if (strncmp(more, "ran ", 4) == 0)
            continue;                   /* progress */
        if ((*lines)++ == 0)
            snprintf(line, size, "%s", more);
    }
    int status = pclose(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void must_be_refused(const char *what, const char *arguments)
{
    char line[2048];
    int lines, code = run(arguments, line, sizeof line, &lines);
    tried++;
    if (code != 3 || lines != 1 || strncmp(line, "internimage ", 12))
        fail_msg("%s: exit code %d, %d lines on stderr: %s", what, code, lines, line);
    print_message("  %-28s %s", what, line);
}

static void refuse_golden(const char *what, const char *path)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "verify --goldens %s", path);
    must_be_refused(what, arguments);
}

static void refuse_weights(const char *what, const char *path)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "run --weights %s", path);
    must_be_refused(what, arguments);
}

/* --- files to spoil ------------------------------------------------------------- */

static const char *in_directory(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Copies the first `bytes` bytes (all: -1). */
static void copy(const char *from, const char *to, long bytes)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (int c; bytes-- != 0 && (c = fgetc(in)) != EOF;)
        fputc(c, out);
    fclose(in);
    fclose(out);
}

static long size_of(const char *path)
{
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return s.st_size;
}

static void put_attr(hid_t file, const char *name, hid_t type, hid_t space, const void *value)
{
    if (H5Aexists(file, name) > 0)
        H5Adelete(file, name);
    hid_t a = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (value)
        H5Awrite(a, type, value);
    H5Aclose(a);
    H5Sclose(space);
}

static void put_int(hid_t file, const char *name, int64_t value)
{
    put_attr(file, name, H5T_NATIVE_INT64, H5Screate(H5S_SCALAR), &value);
}

static void put_string(hid_t file, const char *name, const char *value)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(value) + 1);
    put_attr(file, name, type, H5Screate(H5S_SCALAR), value);
    H5Tclose(type);
}

/* A dataset in place of another, with these dimensions, type and creation properties;
 * written with zeros when it is small. */
static void put_data(hid_t file, const char *name, int rank, const hsize_t *dim, hid_t type,
                     hid_t properties)
{
    if (H5Lexists(file, name, H5P_DEFAULT) > 0)
        H5Ldelete(file, name, H5P_DEFAULT);
    hsize_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dim[i] < 1 << 20 ? dim[i] : 1 << 20;
    hid_t space = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    if (set >= 0 && rank && count < 1 << 20 && H5Pget_layout(properties) != H5D_VIRTUAL) {
        void *zeros = calloc(count, H5Tget_size(type));
        H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
        free(zeros);
    }
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
}

static hid_t plain(void)
{
    return H5Pcreate(H5P_DATASET_CREATE);
}

static hid_t chunked(int rank, const hsize_t *chunk)
{
    hid_t p = plain();
    H5Pset_chunk(p, rank, chunk);
    return p;
}

/* What is done to a copy of a good file; `key` is the input of a golden, a parameter
 * of a weight file. */
typedef void spoiler(hid_t file, const char *key);

static void no_key(hid_t f, const char *key) { H5Ldelete(f, key, H5P_DEFAULT); }
static void rank_3(hid_t f, const char *key)
{
    put_data(f, key, 3, (hsize_t[]){2, 3, 64}, H5T_NATIVE_FLOAT, plain());
}
static void rank_9(hid_t f, const char *key)
{
    put_data(f, key, 9, (hsize_t[]){1, 1, 1, 1, 1, 1, 1, 1, 2}, H5T_NATIVE_FLOAT, plain());
}
static void other_shape(hid_t f, const char *key)
{
    put_data(f, key, 4, (hsize_t[]){2, 5, 8, 8}, H5T_NATIVE_FLOAT, plain());
}
static void zero_size(hid_t f, const char *key)
{
    put_data(f, key, 4, (hsize_t[]){2, 3, 0, 8}, H5T_NATIVE_FLOAT, plain());
}
static void null_space(hid_t f, const char *key)
{
    put_data(f, key, 0, NULL, H5T_NATIVE_FLOAT, plain());
}
static void huge_sparse(hid_t f, const char *key)
{
    put_data(f, key, 4, (hsize_t[]){1, 3, 1000000, 1000000}, H5T_NATIVE_FLOAT,
             chunked(4, (hsize_t[]){1, 3, 8, 8}));
}
static void overflowing(hid_t f, const char *key)
{
    hsize_t big = (hsize_t)1 << 40;
    put_data(f, key, 4, (hsize_t[]){big, big, 8, 8}, H5T_NATIVE_FLOAT,
             chunked(4, (hsize_t[]){1, 1, 8, 8}));
}
static void never_written(hid_t f, const char *key)
{
    put_data(f, key, 4, (hsize_t[]){4096, 3, 1024, 64}, H5T_NATIVE_FLOAT,
             chunked(4, (hsize_t[]){1, 3, 64, 64}));
}
static void huge_chunk(hid_t f, const char *key)
{
    hid_t p = chunked(1, (hsize_t[]){1 << 29});
    hsize_t dim = 8, most = H5S_UNLIMITED;
    H5Pset_deflate(p, 1);
    if (H5Lexists(f, key, H5P_DEFAULT) > 0)
        H5Ldelete(f, key, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &dim, &most);
    H5Dclose(H5Dcreate2(f, key, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, p, H5P_DEFAULT));
    H5Sclose(space);
}
static void strings(hid_t f, const char *key)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 8);
    put_data(f, key, 1, (hsize_t[]){4}, type, plain());
    H5Tclose(type);
}
static void compound(hid_t f, const char *key)
{
    hid_t type = H5Tcreate(H5T_COMPOUND, 8);
    H5Tinsert(type, "a", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(type, "b", 4, H5T_NATIVE_FLOAT);
    put_data(f, key, 1, (hsize_t[]){4}, type, plain());
    H5Tclose(type);
}
static void external_link(hid_t f, const char *key)
{
    H5Ldelete(f, key, H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/x", f, key, H5P_DEFAULT, H5P_DEFAULT);
}
static void soft_link(hid_t f, const char *key)
{
    H5Ldelete(f, key, H5P_DEFAULT);
    H5Lcreate_soft("/nowhere", f, key, H5P_DEFAULT, H5P_DEFAULT);
}
static void external_storage(hid_t f, const char *key)
{
    hid_t p = plain();
    H5Pset_external(p, "/etc/passwd", 0, 4 * 3 * 64);
    H5Ldelete(f, key, H5P_DEFAULT);
    hsize_t dim = 192;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    H5Dclose(H5Dcreate2(f, key, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, p, H5P_DEFAULT));
    H5Sclose(space);
}
static void virtual_data(hid_t f, const char *key)
{
    hid_t p = plain();
    hsize_t dim = 16;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    H5Pset_virtual(p, space, "/etc/passwd", "x", space);
    H5Sclose(space);
    put_data(f, key, 1, &dim, H5T_NATIVE_FLOAT, p);
}
static void foreign_filter(hid_t f, const char *key)
{
    hid_t p = chunked(1, (hsize_t[]){64});
    H5Pset_scaleoffset(p, H5Z_SO_FLOAT_DSCALE, 3);
    put_data(f, key, 1, (hsize_t[]){64}, H5T_NATIVE_FLOAT, p);
}
static void group_instead(hid_t f, const char *key)
{
    H5Ldelete(f, key, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(f, key, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}
static void no_format(hid_t f, const char *key) { (void)key; H5Adelete(f, "format"); }
static void other_format(hid_t f, const char *key) { (void)key; put_string(f, "format", "onnx"); }
static void number_as_format(hid_t f, const char *key) { (void)key; put_int(f, "format", 1); }
static void long_format(hid_t f, const char *key)
{
    char text[1000];
    (void)key;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    put_string(f, "format", text);
}
static void other_version(hid_t f, const char *key) { (void)key; put_int(f, "version", 2); }
static void no_channels(hid_t f, const char *key) { (void)key; H5Adelete(f, "config.channels"); }
static void odd_channels(hid_t f, const char *key) { (void)key; put_int(f, "config.channels", 17); }
static void huge_channels(hid_t f, const char *key)
{
    (void)key;
    put_int(f, "config.channels", (int64_t)1 << 40);
}
static void three_depths(hid_t f, const char *key)
{
    (void)key;
    put_attr(f, "config.depths", H5T_NATIVE_INT64, H5Screate_simple(1, (hsize_t[]){3}, NULL),
             (int64_t[]){1, 1, 1});
}
static void many_depths(hid_t f, const char *key)
{
    static int64_t ones[1000];
    (void)key;
    put_attr(f, "config.depths", H5T_NATIVE_INT64, H5Screate_simple(1, (hsize_t[]){1000}, NULL),
             ones);
}
static void bottomless(hid_t f, const char *key)
{
    (void)key;
    put_attr(f, "config.depths", H5T_NATIVE_INT64, H5Screate_simple(1, (hsize_t[]){4}, NULL),
             (int64_t[]){1000, 1000, 1000, 1 << 23});
}
static void string_ratio(hid_t f, const char *key)
{
    (void)key;
    put_string(f, "config.mlp_ratio", "four");
}
static void even_kernel(hid_t f, const char *key) { (void)key; put_int(f, "config.kernel_size", 4); }

static const struct {
    const char *name;
    spoiler *spoil;
} spoilers[] = {
    {"missing key", no_key}, {"rank 3", rank_3}, {"rank 9", rank_9}, {"other shape", other_shape},
    {"a zero dimension", zero_size}, {"null dataspace", null_space},
    {"huge sparse dimensions", huge_sparse}, {"overflowing dimensions", overflowing},
    {"claimed, never written", never_written}, {"huge chunk", huge_chunk}, {"strings", strings},
    {"compound type", compound}, {"external link", external_link}, {"soft link", soft_link},
    {"external storage", external_storage}, {"virtual dataset", virtual_data},
    {"foreign filter", foreign_filter}, {"group for dataset", group_instead},
    {"no format", no_format}, {"other format", other_format},
    {"number as format", number_as_format}, {"endless format", long_format},
    {"other version", other_version}, {"no channels", no_channels},
    {"odd channels", odd_channels}, {"huge channels", huge_channels},
    {"three depths", three_depths}, {"many depths", many_depths}, {"huge depth", bottomless},
    {"string as number", string_ratio}, {"even kernel", even_kernel},
};

static void spoil_all(const char *good, const char *key,
                      void (*refuse)(const char *what, const char *path))
{
    const char *bad = in_directory("bad.h5");
    for (size_t i = 0; i < sizeof spoilers / sizeof *spoilers; i++) {
        copy(good, bad, -1);
        hid_t f = H5Fopen(bad, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(f >= 0);
        spoilers[i].spoil(f, key);
        H5Fclose(f);
        refuse(spoilers[i].name, bad);
    }
}

static void truncate_all(const char *good, void (*refuse)(const char *what, const char *path))
{
    const double part[] = {0, 1e-5, 0.001, 0.01, 0.3, 0.7, 0.99};
    const char *bad = in_directory("cut.h5");
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        char what[64];
        copy(good, bad, (long)(part[i] * (double)size_of(good)));
        snprintf(what, sizeof what, "cut to %g", part[i]);
        refuse(what, bad);
    }
}

/* --- the tests -------------------------------------------------------------------- */

static void malformed_goldens(void **state)
{
    (void)state;
    spoil_all("datasets/goldens/pico.h5", "input", refuse_golden);
    truncate_all("datasets/goldens/pico.h5", refuse_golden);
    refuse_golden("no such file", in_directory("absent.h5"));
    refuse_golden("a text", "README.md");
    assert_true(tried >= 30);
}

static void malformed_op_goldens(void **state)
{
    (void)state;
    const char *name = "conv2d n2h5w4i7o9k1x1-nobias", *bad = in_directory("ops.h5");
    const struct { const char *what, *attr; int64_t value; } change[] = {
        {"negative stride", "stride_h", -1}, {"zero kernel", "kernel_h", 0},
        {"huge pad", "pad_w", 1 << 23}, {"no such groups", "groups", 5},
        {"other output channels", "out_channels", 10}, {"overflow", "kernel_w", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        copy("datasets/goldens/ops.h5", bad, -1);
        hid_t f = H5Fopen(bad, H5F_ACC_RDWR, H5P_DEFAULT), g = H5Gopen2(f, name, H5P_DEFAULT);
        assert_true(g >= 0);
        put_int(g, change[i].attr, change[i].value);
        H5Gclose(g);
        H5Fclose(f);
        refuse_golden(change[i].what, bad);
    }
    copy("datasets/goldens/ops.h5", bad, -1);
    hid_t f = H5Fopen(bad, H5F_ACC_RDWR, H5P_DEFAULT), g = H5Gopen2(f, name, H5P_DEFAULT);
    put_string(g, "op", "conv3d");
    H5Gclose(g);
    H5Fclose(f);
    refuse_golden("no such op", bad);
}

static void malformed_weights(void **state)
{
    char good[512], arguments[1024], line[2048];
    int lines;
    (void)state;
    snprintf(good, sizeof good, "%s", in_directory("weights.h5"));
    snprintf(arguments, sizeof arguments, "weights pico -o %s", good);
    assert_int_equal(run(arguments, line, sizeof line, &lines), 0);
    spoil_all(good, "levels.1.norm.0.weight", refuse_weights);
    truncate_all(good, refuse_weights);
}

/* Seeded bit flips all over a file: any verdict but a crash. */
static void bit_flips(void **state)
{
    const char *bad = in_directory("flip.h5");
    long size = size_of("datasets/goldens/pico.h5");
    uint32_t random = 12345;
    (void)state;
    for (int i = 0; i < 40; i++) {
        char arguments[1024], line[2048];
        int lines;
        copy("datasets/goldens/pico.h5", bad, -1);
        FILE *f = fopen(bad, "r+b");
        for (int k = 0; k < 8; k++) {
            random = random * 1664525 + 1013904223;
            fseek(f, k < 6 ? random % 8192 : random % size, SEEK_SET);
            fputc((int)(random >> 24), f);
        }
        fclose(f);
        snprintf(arguments, sizeof arguments, "verify --goldens %s", bad);
        int code = run(arguments, line, sizeof line, &lines);
        if (code != 0 && code != 1 && code != 3 && code != 5)
            fail_msg("flip %d: exit code %d: %s", i, code, line);
    }
}

static int setup(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    program = getenv("INTERNIMAGE");
    program = program ? program : "build/internimage";
    snprintf(directory, sizeof directory, "%s/internimage-XXXXXX", temporary ? temporary : "/tmp");
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[512];
    (void)state;
    print_message("%d malformed files refused\n", tried);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_goldens), cmocka_unit_test(malformed_op_goldens),
        cmocka_unit_test(malformed_weights), cmocka_unit_test(bit_flips),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
