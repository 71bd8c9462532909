/* What tests of files that lie share: a file is put together byte by byte, saved, and must be
 * read or refused with EXIT_BAD_FILE and a sentence that names the file and what is wrong. */
#ifndef VERIFY_TESTS_HOSTILE_BYTES_H
#define VERIFY_TESTS_HOSTILE_BYTES_H

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
#include <unistd.h>

static char path[300];
static int refused;

struct bytes { unsigned char byte[1 << 16]; size_t size; };
static struct bytes b;                  /* the file that is being made */

static inline void put(const void *data, size_t size)
{
    assert_true(b.size + size <= sizeof b.byte);
    memcpy(b.byte + b.size, data, size);
    b.size += size;
}

static inline void le(int width, uint64_t value)
{
    for (int i = 0; i < width; i++, value >>= 8)
        put(&(unsigned char){(unsigned char)value}, 1);
}

static inline void zeros(size_t count)
{
    for (size_t i = 0; i < count; i++)
        le(1, 0);
}

static inline void save(size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.byte, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Opens and reads everything. */
static inline bool read_all(struct error *e)
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

static inline void must_be_read(const char *what)
{
    struct error e = {0};
    if (!read_all(&e))
        fail_msg("%s: refused: %s", what, e.text);
}

/* `why` is part of the sentence. */
static inline void must_be_refused(const char *what, const char *why)
{
    struct error e = {0};
    refused++;
    if (read_all(&e))
        fail_msg("%s: not refused", what);
    if (e.code != EXIT_BAD_FILE || !strstr(e.text, path) || !strstr(e.text, why))
        fail_msg("%s: code %d, '%s' does not say '%s'", what, e.code, e.text, why);
}

/* `why` NULL: to be read. */
static inline void judge(const char *what, const char *why)
{
    save(b.size);
    if (why)
        must_be_refused(what, why);
    else
        must_be_read(what);
}

/* Every beginning of the file, and the file with something after it. */
static inline void every_length(const char *what)
{
    judge(what, NULL);
    for (size_t size = 0; size < b.size; size++) {
        save(size);
        must_be_refused(what, "");
    }
    le(1, 0);
    judge(what, "");
}

/* The header of an array of float32. */
#define F4(SHAPE) "{'descr': '<f4', 'fortran_order': False, 'shape': " SHAPE ", }\n"

static inline void put_npy(const char *dict, size_t values)
{
    put("\x93NUMPY\1\0", 8);
    le(2, strlen(dict));
    put(dict, strlen(dict));
    zeros(values);
}

static inline int setup(void **state)
{
    const char *temporary = getenv("TMPDIR");
    (void)state;
    snprintf(path, sizeof path, "%s/internimage-hostile-%d", temporary ? temporary : "/tmp",
             (int)getpid());
    return H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0;
}

static inline int teardown(void **state)
{
    (void)state;
    print_message("%d malformed files refused\n", refused);
    remove(path);
    return 0;
}

#endif
