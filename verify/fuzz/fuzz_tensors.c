/* Fuzz target: any bytes as a file of tensors, for the reader named by the environment
 * variable READER. */
#include "fuzz.h"

#include "datasets/tensors.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 1 << 18, PIECE = 1000 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The beginning in pieces, then some of the middle and the end: forwards and back. */
static bool read_some(struct tensor_file *f, int index, int64_t *values, struct error *e)
{
    double wide[PIECE];
    float narrow[PIECE];
    int64_t count = tensors_info(f, index)->count;
    for (int64_t at = 0, n; at < count && *values < MOST_VALUES; at += n) {
        n = least(count - at, PIECE);
        *values += n;
        if (!tensors_read_f64(f, index, at, n, wide, e))
            return false;
    }
    int64_t n = least(count, PIECE / 7);
    return tensors_read_f32(f, index, (count - n) / 2, n, narrow, e)
        && (count > 64 * MOST_VALUES || tensors_read_f32(f, index, count - n, n, narrow, e));
}

/* Bytes that another reader would take are not worth the time. */
static bool is_for(const char *reader, const uint8_t *data, size_t size)
{
    static const struct { const char *reader, *first; size_t at, length; } magic[] = {
        {"npz", "PK", 0, 2}, {"npz", "\x93NUMPY", 0, 6}, {"safetensors", "{", 8, 1},
        {"h5", "\x89HDF\r\n\x1a\n", 0, 8},
    };
    for (size_t i = 0; reader && i < sizeof magic / sizeof *magic; i++)
        if (!strcmp(reader, magic[i].reader) && size > magic[i].at + magic[i].length
            && !memcmp(data + magic[i].at, magic[i].first, magic[i].length))
            return true;
    return !reader;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error e = {0};
    if (!is_for(getenv("READER"), data, size))
        return 0;
    const char *path = fuzz_path(data, size);
    struct tensor_file *f = tensors_open(path, &e);
    if (!f) {
        fuzz_refused(&e, path);
        return 0;
    }
    int64_t values = 0;
    for (int i = 0; i < tensors_count(f) && values < MOST_VALUES; i++) {
        struct error why = {0};
        if (!read_some(f, i, &values, &why))
            fuzz_refused(&why, path);
    }
    tensors_close(f);
    return 0;
}
