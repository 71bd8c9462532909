/* Zip archives of arrays that lie about one thing each. */
#include "hostile_bytes.h"

#include <sys/wait.h>
#include <zlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npz), cmocka_unit_test(inspect),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
