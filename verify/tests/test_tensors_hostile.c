/* Files that lie, for every reader behind tensors.h: each is refused with EXIT_BAD_FILE and
 * a sentence that names the file and what is wrong. The bytes are put together here; a good
 * file of each kind goes through the same hands first, so that a refusal means something. */
#include "datasets/tensors.h"

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
#include <zlib.h>

static char path[300];
static int refused;

/* --- bytes ------------------------------------------------------------------------ */

struct bytes { unsigned char byte[1 << 16]; size_t size; };
static struct bytes b;                  /* the file that is being made */

static void put(const void *data, size_t size)
{
    assert_true(b.size + size <= sizeof b.byte);
    memcpy(b.byte + b.size, data, size);
    b.size += size;
}

static void le(int width, uint64_t value)
{
    for (int i = 0; i < width; i++, value >>= 8)
        put(&(unsigned char){(unsigned char)value}, 1);
}

static void zeros(size_t count)
{
    for (size_t i = 0; i < count; i++)
        le(1, 0);
}

static void save(size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.byte, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Opens and reads everything. */
static bool read_all(struct error *e)
{
    double x[64];
    struct tensor_file *f = tensors_open(path, e);
    bool ok = f != NULL;
    for (int i = 0; ok && i < tensors_count(f); i++)
        for (int64_t at = 0, n, count = tensors_info(f, i)->count; ok && at < count; at += n) {
            n = count - at < 64 ? count - at : 64;
            ok = tensors_read_f64(f, i, at, n, x, e);
        }
    tensors_close(f);
    return ok;
}

static void must_be_read(const char *what)
{
    struct error e = {0};
    if (!read_all(&e))
        fail_msg("%s: refused: %s", what, e.text);
}

/* `why` is part of the sentence. */
static void must_be_refused(const char *what, const char *why)
{
    struct error e = {0};
    refused++;
    if (read_all(&e))
        fail_msg("%s: not refused", what);
    if (e.code != EXIT_BAD_FILE || !strstr(e.text, path) || !strstr(e.text, why))
        fail_msg("%s: code %d, '%s' does not say '%s'", what, e.code, e.text, why);
}

/* `why` NULL: to be read. */
static void judge(const char *what, const char *why)
{
    save(b.size);
    if (why)
        must_be_refused(what, why);
    else
        must_be_read(what);
}

/* Every beginning of the file, and the file with something after it. */
static void every_length(const char *what)
{
    judge(what, NULL);
    for (size_t size = 0; size < b.size; size++) {
        save(size);
        must_be_refused(what, "");
    }
    le(1, 0);
    judge(what, "");
}

/* --- npy -------------------------------------------------------------------------- */

static void put_npy(const char *dict, size_t values)
{
    put("\x93NUMPY\1\0", 8);
    le(2, strlen(dict));
    put(dict, strlen(dict));
    zeros(values);
}

#define F4(SHAPE) "{'descr': '<f4', 'fortran_order': False, 'shape': " SHAPE ", }\n"
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

/* --- npz -------------------------------------------------------------------------- */

/* One entry and everything that can be said wrong about it; zero: the truth. */
struct lie {
    const char *what, *why, *name, *local_name;
    int flags, method, local_method, deflated;
    int64_t size, packed, local_size, at;   /* added to the true value */
    uint32_t crc;
    int64_t count, directory, directory_bytes;      /* in the end record */
    int disk, comment, twice, zip64, far;
    size_t extra;                           /* bytes packed but not declared */
};

static size_t deflate_npy(const unsigned char *from, size_t size, unsigned char *to, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)from;
    z.avail_in = (unsigned)size;
    z.next_out = to;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static void put_central(const struct lie *l, const char *name, int method, uint32_t crc,
                        int64_t packed, int64_t size, int64_t at)
{
    put("PK\1\2", 4);
    le(4, 0x002d002d);
    le(2, (uint64_t)l->flags);
    le(2, (uint64_t)method);
    le(4, 0);
    le(4, crc + l->crc);
    le(4, l->zip64 ? UINT32_MAX : (uint64_t)(packed + l->packed));
    le(4, l->zip64 ? UINT32_MAX : (uint64_t)(size + l->size));
    le(2, strlen(name));
    le(2, l->zip64 ? 28 : 0);
    le(2, 0);
    le(8, 0);
    le(4, l->zip64 ? UINT32_MAX : (uint64_t)(at + l->at));
    put(name, strlen(name));
    if (l->zip64) {
        le(4, 0x00180001);
        le(8, (uint64_t)(size + l->size));
        le(8, (uint64_t)(packed + l->packed));
        le(8, (uint64_t)(at + l->at));
    }
}

static void put_end(const struct lie *l, int64_t count, int64_t at)
{
    int64_t bytes = (int64_t)b.size - at, end = (int64_t)b.size;
    if (l->zip64) {
        put("PK\6\6", 4);
        le(8, 44);
        le(4, 0x002d002d);
        le(8, (uint64_t)l->disk);
        le(8, (uint64_t)(count + l->count));
        le(8, (uint64_t)(count + l->count));
        le(8, (uint64_t)(bytes + l->directory_bytes));
        le(8, (uint64_t)(at + l->directory));
        put("PK\6\7", 4);
        le(4, 0);
        le(8, (uint64_t)(end + l->far));
        le(4, 1);
    }
    put("PK\5\6", 4);
    le(4, (uint64_t)l->disk);
    le(2, l->zip64 ? UINT16_MAX : (uint64_t)(count + l->count));
    le(2, l->zip64 ? UINT16_MAX : (uint64_t)(count + l->count));
    le(4, l->zip64 ? UINT32_MAX : (uint64_t)(bytes + l->directory_bytes));
    le(4, l->zip64 ? UINT32_MAX : (uint64_t)(at + l->directory));
    le(2, (uint64_t)l->comment);
}

/* An archive of one float32 tensor of 500 values; its place is made of what `l` says. */
static void put_npz(const struct lie *l)
{
    static unsigned char packed[4096];
    const char *name = l->name ? l->name : "a.npy", *local = l->local_name ? l->local_name : name;
    b.size = 0;
    put_npy(F4("(500,)"), 2000 + l->extra);
    size_t size = b.size - l->extra;
    size_t bytes = l->deflated ? deflate_npy(b.byte, b.size, packed, sizeof packed) : size;
    uint32_t crc = (uint32_t)crc32(0, b.byte, (unsigned)size);
    if (!l->deflated)
        memcpy(packed, b.byte, size);
    int method = l->method ? l->method : l->deflated ? 8 : 0;
    b.size = 0;
    put("PK\3\4", 4);
    le(2, 45);
    le(2, (uint64_t)l->flags);
    le(2, (uint64_t)(l->local_method ? l->local_method : method));
    le(4, 0);
    le(4, crc);
    le(4, bytes);
    le(4, size + (uint64_t)l->local_size);
    le(2, strlen(local));
    le(2, 0);
    put(local, strlen(local));
    put(packed, bytes);
    int64_t at = (int64_t)b.size;
    put_central(l, name, method, crc, (int64_t)bytes, (int64_t)size, 0);
    if (l->twice)
        put_central(l, l->twice == 2 ? "b.npy" : name, method, crc, (int64_t)bytes, (int64_t)size, 0);
    put_end(l, 1 + !!l->twice, at);
}

static void npz(void **state)
{
    static const struct lie lies[] = {
        {.what = "stored"}, {.what = "deflated", .deflated = 1}, {.what = "zip64", .zip64 = 1},
        {.what = "zip64, deflated", .zip64 = 1, .deflated = 1},
        {"encrypted", "is encrypted", .flags = 1}, {"bzip2", "other than deflate", .method = 12},
        {"method 8 in the directory only", "header of another", .deflated = 1, .local_method = 1},
        {"wrong checksum", "its checksum is", .crc = 1},
        {"wrong checksum, deflated", "its checksum is", .crc = 1, .deflated = 1},
        {"larger", "two different sizes", .size = 4}, {"smaller", "two different sizes", .size = -4},
        {"larger, deflated", "two different sizes", .size = 4, .deflated = 1},
        {"larger everywhere", "bytes of values", .size = 4, .local_size = 4, .deflated = 1},
        {"smaller everywhere", "bytes of values", .size = -4, .local_size = -4, .deflated = 1},
        {"bomb", "more than its bytes can hold", .size = 1 << 30, .deflated = 1},
        {"zip64 bomb", "more than its bytes can hold", .size = (int64_t)1 << 60, .deflated = 1,
         .zip64 = 1},
        {"unpacks to more", "does not end after", .deflated = 1, .extra = 4},
        {"packed runs on", "runs into what follows", .packed = 40, .deflated = 1},
        {"packed is cut", "", .packed = -4, .deflated = 1},
        {"negative size", "a size is negative", .size = INT64_MIN, .zip64 = 1},
        {"header elsewhere", "header of another", .at = 3},
        {"header outside", "should be 30 bytes", .at = 1 << 20},
        {"header far outside", "should be 30 bytes", .at = INT64_MAX - 8, .zip64 = 1},
        {"other local name", "header of another", .local_name = "b.npy"},
        {"longer local name", "header of another", .local_name = "aa.npy"},
        {"the same entry twice", "runs into what follows", .twice = 1},
        {"two names for the same bytes", "header of another", .twice = 2},
        {"path out", "leads elsewhere", .name = "../../a.npy"},
        {"absolute path", "leads elsewhere", .name = "/a.npy"},
        {"path out, inside", "leads elsewhere", .name = "a/../b.npy"},
        {"backslashes", "leads elsewhere", .name = "..\\a.npy"},
        {"two slashes", "leads elsewhere", .name = "a//b.npy"},
        {"no name", "no npy file", .name = ".npy"},
        {"other file", "no npy file", .name = "archive/data.pkl"},
        {"terminal escape", "no printable UTF-8", .name = "\x1b[2Ja.npy"},
        {"no UTF-8", "no printable UTF-8", .name = "\xc3(.npy"},
        {"more entries", "too small for its number", .count = 60},
        {"one entry more", "cut off or missing", .count = 1,
         .name = "a-name-as-long-as-an-entry-of-the-directory.npy"},
        {"directory outside", "outside the file", .directory = 1 << 20},
        {"directory too long", "outside the file", .directory_bytes = 1 << 20},
        {"negative directory", "outside the file", .directory = INT64_MIN, .zip64 = 1},
        {"zip64 record elsewhere", "makes no sense", .zip64 = 1, .far = -4},
        {"zip64 record outside", "should be 56 bytes", .zip64 = 1, .far = 1 << 20},
        {"several disks", "several disks", .disk = 1},
        {"several disks, zip64", "makes no sense", .disk = 1, .zip64 = 1},
        {"a comment that is not there", "no directory at its end", .comment = 9},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        put_npz(&lies[i]);
        judge(lies[i].what, lies[i].why);
    }
    for (int i = 0; i < 4; i++) {
        put_npz(&lies[i]);
        every_length(lies[i].what);
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

/* The program says so too, in a sandbox or not. */
static void inspect(void **state)
{
    const char *program = getenv("INTERNIMAGE");
    (void)state;
    for (int good = 0; good < 2; good++)
        for (int sandbox = 0; sandbox < 2; sandbox++) {
            char command[1024];
            put_npz(&(struct lie){.crc = good ? 0 : 1});
            save(b.size);
            snprintf(command, sizeof command, "%s inspect%s %s >/dev/null 2>&1",
                     program ? program : "build/internimage", sandbox ? " --sandbox" : "", path);
            int status = system(command);
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), good ? EXIT_MATCH : EXIT_BAD_FILE);
        }
}

static int setup(void **state)
{
    const char *temporary = getenv("TMPDIR");
    (void)state;
    snprintf(path, sizeof path, "%s/internimage-hostile-%d", temporary ? temporary : "/tmp",
             (int)getpid());
    return H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0;
}

static int teardown(void **state)
{
    (void)state;
    print_message("%d malformed files refused\n", refused);
    remove(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy), cmocka_unit_test(safetensors), cmocka_unit_test(npz),
        cmocka_unit_test(h5), cmocka_unit_test(no_tensors), cmocka_unit_test(inspect),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
