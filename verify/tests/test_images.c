/* Image sets from files that lie: each is refused with EXIT_BAD_FILE and a sentence that
 * names the file and what is wrong; the same file without the lie is read. And what crop,
 * flip and scaling make of an image. */
#include "datasets/images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[] = "/tmp/test_images.XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* `say`: what the sentence must hold; NULL: the set must open. */
static void expect(const char *what, bool train, const char *say)
{
    struct error e = {0};
    struct image_set *s = images_open(what, folder, train, &e);
    if (!say) {
        if (!s)
            fail_msg("refused: %s", e.text);
        unsigned char *pixel = malloc((size_t)s->channels * s->height * s->width);
        assert_true(images_get(s, s->count - 1, pixel, &e));
        free(pixel);
    } else {
        assert_null(s);
        assert_int_equal(e.code, EXIT_BAD_FILE);
        if (!strstr(e.text, say) || !strstr(e.text, folder))
            fail_msg("'%s' is not in: %s", say, e.text);
    }
    images_close(s);
}

/* --- idx: two images of 3 x 4, `head` and the labels as given --------------------------- */

static void write_gz(const char *name, const void *data, unsigned size)
{
    gzFile f = gzopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, data, size), size);
    assert_int_equal(gzclose(f), Z_OK);
}

static void idx(int type, int high, int count, unsigned values, int labels, int label)
{
    unsigned char images[16 + 64] = {0, 0, (unsigned char)type, 3, (unsigned char)high, 0, 0,
                                     (unsigned char)count, 0, 0, 0, 3, 0, 0, 0, 4};
    unsigned char numbers[8 + 8] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)labels};
    numbers[8] = (unsigned char)label;
    write_gz("t10k-images-idx3-ubyte.gz", images, 16 + values);
    write_gz("t10k-labels-idx1-ubyte.gz", numbers, 8 + (unsigned)labels);
}

static void idx_files(void **state)
{
    (void)state;
    expect("fashion-mnist", false, "no such file");
    idx(8, 0, 2, 24, 2, 9);
    expect("fashion-mnist", false, NULL);
    idx(9, 0, 2, 24, 2, 9);
    expect("fashion-mnist", false, "not an idx file");
    idx(8, 0x7f, 2, 24, 2, 9);
    expect("fashion-mnist", false, "not an idx file");
    idx(8, 0, 0, 0, 2, 9);
    expect("fashion-mnist", false, "not an idx file");
    idx(8, 0, 2, 23, 2, 9);
    expect("fashion-mnist", false, "not as long");
    idx(8, 0, 2, 25, 2, 9);
    expect("fashion-mnist", false, "not as long");
    idx(8, 0, 2, 24, 3, 9);
    expect("fashion-mnist", false, "has 3 labels");
    idx(8, 0, 2, 24, 2, 10);
    expect("fashion-mnist", false, "label 0 is 10");
    idx(8, 0, 2, 24, 2, 9);
    assert_int_equal(truncate(in_folder("t10k-images-idx3-ubyte.gz"), 20), 0);
    expect("fashion-mnist", false, "idx");
}

/* --- CIFAR-10 --------------------------------------------------------------------------- */

static void cifar_file(long size, int label)
{
    FILE *f = fopen(in_folder("test_batch.bin"), "wb");
    assert_non_null(f);
    fputc(label, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(truncate(in_folder("test_batch.bin"), size), 0);
}

static void cifar_files(void **state)
{
    const long whole = 10000L * 3073;
    (void)state;
    expect("cifar10", false, "no such file");
    cifar_file(whole, 9);
    expect("cifar10", false, NULL);
    expect("cifar10", true, "data_batch_1.bin: there is no such file");
    cifar_file(whole, 10);
    expect("cifar10", false, "label 0 is 10");
    cifar_file(whole - 1, 9);
    expect("cifar10", false, "ends in record 9999");
    cifar_file(whole + 1, 9);
    expect("cifar10", false, "is longer");
}

/* --- packs ------------------------------------------------------------------------------ */

static void dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dim,
                    const void *data)
{
    const hid_t space = H5Screate_simple(rank, dim, NULL);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static const char *pack(hid_t type, const hsize_t *dim, hid_t label_type, hsize_t labels,
                        const void *label)
{
    static const float black[2 * 3 * 5000];
    const char *path = in_folder("pack.h5");
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    dataset(file, "images", type, 4, dim, black);
    if (label)
        dataset(file, "labels", label_type, 1, &labels, label);
    H5Fclose(file);
    return path;
}

static void packs(void **state)
{
    static const hsize_t nchw[] = {2, 3, 5, 4}, nhwc[] = {2, 5, 4, 3}, grey[] = {2, 1, 5, 4},
                         empty[] = {2, 3, 0, 4}, wide[] = {2, 3, 1, 5000};
    const int64_t good[] = {0, 7, 1}, negative[] = {0, -1}, huge[] = {1LL << 40, 0};
    const float real[] = {0, 1};
    (void)state;
    expect(pack(H5T_NATIVE_UINT8, nchw, H5T_NATIVE_INT64, 2, good), false, NULL);
    expect(pack(H5T_NATIVE_UINT8, nhwc, H5T_NATIVE_INT64, 2, good), false, NULL);
    expect(pack(H5T_NATIVE_FLOAT, nchw, H5T_NATIVE_INT64, 2, good), false, "expected uint8");
    expect(pack(H5T_NATIVE_UINT8, grey, H5T_NATIVE_INT64, 2, good), false, "expected uint8");
    expect(pack(H5T_NATIVE_UINT8, empty, H5T_NATIVE_INT64, 2, good), false, "at least one");
    expect(pack(H5T_NATIVE_UINT8, wide, H5T_NATIVE_INT64, 2, good), false, "at most 4096");
    expect(pack(H5T_NATIVE_UINT8, nchw, H5T_NATIVE_INT64, 3, good), false, "number");
    expect(pack(H5T_NATIVE_UINT8, nchw, H5T_NATIVE_FLOAT, 2, real), false, "another type");
    expect(pack(H5T_NATIVE_UINT8, nchw, H5T_NATIVE_INT64, 2, negative), false, "label 1 is -1");
    expect(pack(H5T_NATIVE_UINT8, nchw, H5T_NATIVE_INT64, 2, huge), false, "label 0 is");
    expect(pack(H5T_NATIVE_UINT8, nchw, H5T_NATIVE_INT64, 0, NULL), false, "no labels");
}

/* Grey images whose values come out of image_view() as they went in. */
static struct image_set plain_set(int height, int width)
{
    const float unit = 1.0f / 255;
    return (struct image_set){.channels = 1, .height = height, .width = width,
                              .deviation = {unit, unit, unit}};
}

/* A moved image in two steps: shifted into zeros, then mirrored. */
static void moved_and_mirrored(void **state)
{
    enum { H = 3, W = 4 };
    const unsigned char pixel[H * W] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const struct image_set s = plain_set(H, W);
    const struct view v = {.pad = 1, .flip = true};
    bool seen[3][3][2] = {{{false}}};
    (void)state;
    for (uint64_t i = 0; i < 3 * 3 * 2 * 8; i++) {
        const uint64_t random = i % 3 | (i / 3 % 3) << 20 | (i / 9 % 2) << 40 | (i / 18) << 22;
        const int dy = (int)(random % 3) - 1, dx = (int)((random >> 20) % 3) - 1;
        const int flip = random >> 40 & 1;
        float shifted[H][W] = {{0}}, out[3][H][W];
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                if (y - dy >= 0 && y - dy < H && x - dx >= 0 && x - dx < W)
                    shifted[y - dy][x - dx] = pixel[y * W + x];
        image_view(&s, &v, pixel, random, out[0][0]);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    const float expected = shifted[y][flip ? W - 1 - x : x];
                    assert_float_equal(out[c][y][x], expected, 1e-4);
                }
        seen[dy + 1][dx + 1][flip] = true;
    }
    for (int i = 0; i < 18; i++)
        assert_true((&seen[0][0][0])[i]);
}

/* Twice the size, half-pixel centres: a quarter and three quarters of the way, ends repeated. */
static void scaled(void **state)
{
    const unsigned char pixel[4] = {0, 40, 80, 120};
    const float expected[16] = {0,  10, 30,  40,  20, 30, 50,  60,
                                60, 70, 90, 100,  80, 90, 110, 120};
    const struct image_set s = plain_set(2, 2);
    float out[3 * 16];
    (void)state;
    image_view(&s, &(struct view){.size = 4}, pixel, 0, out);
    for (int i = 0; i < 48; i++)
        assert_float_equal(out[i], expected[i % 16], 1e-4);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
                                        "test_batch.bin", "pack.h5"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(in_folder(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_files), cmocka_unit_test(cifar_files), cmocka_unit_test(packs),
        cmocka_unit_test(moved_and_mirrored), cmocka_unit_test(scaled),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
