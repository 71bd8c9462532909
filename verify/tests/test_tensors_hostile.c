/* Files that lie, for every reader behind tensors.h but npz (test_tensors_npz.c): a good file of
 * each kind goes through the same hands first, so that a refusal means something. */
#include "hostile_bytes.h"

#include <sys/stat.h>

/* --- npy -------------------------------------------------------------------------- */

#define DESCR(TYPE) "{'descr': " TYPE ", 'fortran_order': False, 'shape': (2,), }\n"
#define GOOD F4("(2, 3)")

static void npy(void **state)
{
    static const struct { const char *dict; size_t values; const char *why; } cases[] = {
        {GOOD, 24, NULL}, {F4("()"), 4, NULL}, {F4("(0, 5)"), 0, NULL}, {F4("(3,)"), 12, NULL},
        {GOOD, 20, "has 24 bytes of values, but there are 20"}, {GOOD, 28, "there are 28"},
        {F4("(1000,)"), 0, "has 4000 bytes"}, {F4("(4294967296, 4294967296)"), 0, "bytes of values"},
        {F4("(4294967296, 4294967296, 4294967296, 4294967296)"), 24, "bytes of values"},
        {F4("(2305843009213693952, 4)"), 0, "bytes of values"},
        {F4("(9000000000000000000, 0)"), 0, "too large"},
        {F4("(99999999999999999999,)"), 24, "makes no sense"}, {F4("(-1,)"), 0, "makes no sense"},
        {F4("(6)"), 24, "makes no sense"}, {F4("(2 3)"), 24, "makes no sense"},
        {F4("(2, 3"), 24, "makes no sense"}, {F4("[2, 3]"), 24, "makes no sense"},
        {F4("(1, 1, 1, 1, 1, 1, 1, 2, 3)"), 24, "makes no sense"}, {F4("(2.0, 3)"), 24, "no sense"},
        {DESCR("'<f3'"), 6, "no plain number"}, {DESCR("'|O'"), 16, "no plain number"},
        {DESCR("'<U4'"), 32, "no plain number"}, {DESCR("'<c8'"), 16, "no plain number"},
        {DESCR("'|f4'"), 8, "no plain number"}, {DESCR("'f4'"), 8, "no plain number"},
        {DESCR("''"), 8, "no plain number"}, {DESCR("'\x1b[2Jf4'"), 8, "no plain number"},
        {DESCR("[('x', '<f4')]"), 8, "makes no sense"}, {DESCR("'<f4\\''"), 8, "makes no sense"},
        {"{'descr': '<f4', 'shape': (2,), }\n", 8, "makes no sense"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 8, "no sense"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }\n", 8, "makes no sense"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}\n", 8, "makes no sense"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, "makes no sense"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x\n", 8, "makes no sense"},
        {"", 8, "makes no sense"}, {"\n", 8, "makes no sense"}, {"{", 8, "makes no sense"},
        {"{'descr", 8, "makes no sense"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        b.size = 0;
        put_npy(cases[i].dict, cases[i].values);
        judge(cases[i].dict, cases[i].why);
    }
    b.size = 0;
    put_npy(GOOD, 24);
    every_length("an npy");
    b.size = 0;
    put("\x93NUMPY\4\0", 8);
    zeros(100);
    judge("version 4", "no npy of version 1 to 3");
    b.size = 0;
    put("\x93NUMPY\2\0\xff\xff\xff\xff", 12);
    zeros(100);
    judge("a header of 4 GiB", "claims an npy header of 4294967295 bytes");
}

/* --- safetensors ------------------------------------------------------------------ */

static void put_safetensors(const char *header, uint64_t length, size_t values)
{
    b.size = 0;
    le(8, length);
    put(header, strlen(header));
    zeros(values);
}

#define T(NAME, TYPE, SHAPE, AT) \
    "\"" NAME "\":{\"dtype\":\"" TYPE "\",\"shape\":[" SHAPE "],\"data_offsets\":[" AT "]}"
#define LONG_32 "0123456789abcdef0123456789abcdef"

static void safetensors(void **state)
{
    static const struct { const char *header; size_t values; const char *why; } cases[] = {
        {"{" T("a", "F32", "2", "0,8") "," T("b", "U8", "", "8,9") "}", 9, NULL},
        {"{" T("b", "U8", "1", "8,9") "," T("a", "F32", "2", "0,8") "}  \n", 9, NULL},
        {"{" T("a", "F32", "0,3", "0,0") ",\"__metadata__\":{\"k\":\"v\"}}", 0, NULL},
        {"{" T("a\\u00e9\\ud83d\\ude00\\\"", "F32", "1", "0,4") "}", 4, NULL}, {"{}", 0, NULL},
        {"{" T("a", "F32", "2", "0,8") "," T("b", "F32", "1", "4,8") "}", 8, "overlaps"},
        {"{" T("a", "F32", "2", "0,8") "," T("b", "F32", "2", "0,8") "}", 8, "overlaps"},
        {"{" T("a", "F32", "2", "0,8") "," T("b", "F32", "1", "12,16") "}", 16, "leaves a gap"},
        {"{" T("a", "F32", "2", "4,12") "}", 12, "leaves a gap"},
        {"{" T("a", "F32", "2", "0,8") "}", 12, "the file has"},
        {"{" T("a", "F32", "2", "0,8") "}", 4, "the file has"},
        {"{" T("a", "F32", "2", "8,0") "}", 8, "its shape needs 8 bytes"},
        {"{" T("a", "F32", "3", "0,8") "}", 8, "its shape needs 12 bytes"},
        {"{" T("a", "F32", "4294967296,4294967296", "0,8") "}", 8, "too large"},
        {"{" T("a", "F32", "0,999999999999999999", "0,0") "}", 0, "too large"},
        {"{" T("a", "F32", "9999999999999999999", "0,8") "}", 8, "a number is too large"},
        {"{" T("a", "F32", "-2", "0,8") "}", 8, "not negative"},
        {"{" T("a", "F32", "2.0", "0,8") "}", 8, "expected ']'"},
        {"{" T("a", "F32", "02", "0,8") "}", 8, "begins with 0"},
        {"{" T("a", "F32", "1,1,1,1,1,1,1,1,2", "0,8") "}", 8, "a list is too long"},
        {"{" T("a", "F32", "2", "0,8,8") "}", 8, "a list is too long"},
        {"{" T("a", "F32", "2", "8") "}", 8, "expected two offsets"},
        {"{" T("a", "F8_E4M3", "2", "0,2") "}", 2, "has the type F8_E4M3"},
        {"{" T("a", "f32", "2", "0,8") "}", 8, "has the type f32"},
        {"{" T("a", "F32", "1", "0,4") "," T("a", "F32", "1", "4,8") "}", 8, "two tensors named 'a'"},
        {"{" T("a/b", "F32", "1", "0,4") "," T("a.b", "F32", "1", "4,8") "}", 8, "named 'a.b'"},
        {"{" T("", "F32", "1", "0,4") "}", 4, "a name of 0 bytes"},
        {"{" T("\\u001b[2J", "F32", "1", "0,4") "}", 4, "no printable UTF-8"},
        {"{" T("\xff\xfe", "F32", "1", "0,4") "}", 4, "no printable UTF-8"},
        {"{" T("\xc0\xaf", "F32", "1", "0,4") "}", 4, "no printable UTF-8"},
        {"{" T("a\\u0000b", "F32", "1", "0,4") "}", 4, "an escape"},
        {"{" T("\\ud800", "F32", "1", "0,4") "}", 4, "an escape"},
        {"{" T("\\x41", "F32", "1", "0,4") "}", 4, "an escape"},
        {"{" T("a\nb", "F32", "1", "0,4") "}", 4, "control character"},
        {"{" T(LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32, "F32", "1", "0,4") "}",
         4, "too long"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "is missing"}, {"{\"a\":{}}", 0, "expected '\"'"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1]}}", 4, "once each"},
        {"{\"a\":[1,2]}", 0, "expected '{'"}, {"{\"a\":null}", 0, "expected '{'"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "expected '\"'"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "appears twice"},
        {"{" T("a", "F32", "1", "0,4") ",}", 4, "expected '\"'"},
        {"{" T("a", "F32", "1", "0,4") "} x", 4, "something follows"},
        {"{" T("a", "F32", "1", "0,4"), 4, "expected '}'"}, {"{", 0, "expected '\"'"},
        {"{\"a", 0, "expected '\"'"}, {"{\"a\\", 0, "cut off"}, {"{\"a\\u12", 0, "an escape"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_safetensors(cases[i].header, strlen(cases[i].header), cases[i].values);
        judge(cases[i].header, cases[i].why);
    }
    put_safetensors(cases[0].header, strlen(cases[0].header), cases[0].values);
    every_length("a safetensors");
    const uint64_t lengths[] = {0, 1, 20, 100, 1000, 100000001, (uint64_t)1 << 40, INT64_MAX,
                                (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_safetensors(cases[0].header, lengths[i], cases[0].values);
        judge("a header of another length", "");
    }
}

/* --- HDF5, and files of no kind --------------------------------------------------- */

static void put_dataset(hid_t file, const char *name, hid_t type)
{
    hsize_t dim = 2;
    hid_t space = H5Screate_simple(1, &dim, NULL), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    static char values[64];
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(set);
    H5Pclose(links);
    H5Sclose(space);
}

static void h5(void **state)
{
    hid_t odd = H5Tcopy(H5T_STD_I32LE), text = H5Tcopy(H5T_C_S1);
    hid_t color = H5Tenum_create(H5T_NATIVE_INT8);
    for (int8_t i = 0; i < 3; i++)
        H5Tenum_insert(color, (const char *[]){"RED", "GREEN", "BLUE"}[i], &i);
    H5Tset_precision(odd, 20);
    const struct { const char *name, *other, *why; hid_t type; } cases[] = {
        {"a", "b/c", NULL, H5T_IEEE_F32BE}, {"a.b", "a/b", "two tensors named 'a.b'", H5T_IEEE_F32LE},
        {"a", "\x1b[2J", "no printable UTF-8", H5T_IEEE_F32LE},
        {"a", "b", "plain integer", H5T_NATIVE_LDOUBLE}, {"a", "b", "plain integer", odd},
        {"a", "b", "no plain numbers", text}, {"a", "b", "plain integer", color},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(f >= 0);
        put_dataset(f, cases[i].name, cases[i].type);
        put_dataset(f, cases[i].other, cases[i].type);
        H5Fclose(f);
        if (cases[i].why)
            must_be_refused(cases[i].other, cases[i].why);
        else
            must_be_read(cases[i].other);
    }
}

static void no_tensors(void **state)
{
    static const struct { const char *first, *why; } cases[] = {
        {"", "neither HDF5"}, {"PK", "neither HDF5"}, {"hello", "neither HDF5"},
        {"\x80\2}q", "Python pickle"}, {"PK\3\4", "no directory"}, {"\x93NUMPY", "cut off"},
        {"\x89HDF\r\n\x1a\n", "not an HDF5 file"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        b.size = 0;
        put(cases[i].first, strlen(cases[i].first));
        judge(cases[i].first, cases[i].why);
    }
    remove(path);
    must_be_refused("nothing", "no such file");
    assert_int_equal(mkdir(path, 0700), 0);
    must_be_refused("a directory", "not a regular file");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    must_be_refused("a pipe", "not a regular file");
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy), cmocka_unit_test(safetensors), cmocka_unit_test(h5),
        cmocka_unit_test(no_tensors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
