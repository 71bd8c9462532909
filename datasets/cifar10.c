/* CIFAR-10 (Krizhevsky 2009), binary version: records of one label byte and 3072 pixel
 * bytes, planes red, green, blue of 32x32, in files of 10000. */
#include "image_sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, RECORDS = 10000, FILES = 5 };

static bool read_file(struct image_set *s, const char *path, struct error *e)
{
    unsigned char record[PIXELS + 1];
    FILE *f = fopen(path, "rb");
    bool ok = f || fail(e, EXIT_BAD_FILE, "%s: there is no such file", path);
    for (int i = 0; ok && i < RECORDS; i++) {
        ok = fread(record, 1, sizeof record, f) == sizeof record
          || fail(e, EXIT_BAD_FILE, "%s: ends in record %d of %d", path, i, RECORDS);
        ok = ok && (record[0] < s->classes
                    || fail(e, EXIT_BAD_FILE, "%s: label %d is %d, expected 0..9", path, i,
                            record[0]));
        if (ok) {
            s->label[s->count] = record[0];
            memcpy(s->pixel + (size_t)s->count++ * PIXELS, record + 1, PIXELS);
        }
    }
    ok = ok && (fgetc(f) == EOF
                || fail(e, EXIT_BAD_FILE, "%s: is longer than %d records", path, RECORDS));
    if (f)
        fclose(f);
    return ok;
}

bool cifar10_read(struct image_set *s, const char *directory, bool train, struct error *e)
{
    const char *where = directory ? directory : "cifar-10-batches-bin";
    const size_t most = (train ? FILES : 1) * (size_t)RECORDS;
    char path[4096];
    *s = (struct image_set){
        .channels = 3, .height = SIDE, .width = SIDE, .classes = 10,
        .mean = {0.4914f, 0.4822f, 0.4465f}, .deviation = {0.2470f, 0.2435f, 0.2616f},
        .pixel = malloc(most * PIXELS), .label = malloc(most * sizeof *s->label),
    };
    if (!s->pixel || !s->label)
        return fail(e, EXIT_USAGE, "out of memory for CIFAR-10");
    for (int i = 1; train && i <= FILES; i++) {
        snprintf(path, sizeof path, "%s/data_batch_%d.bin", where, i);
        if (!read_file(s, path, e))
            return false;
    }
    snprintf(path, sizeof path, "%s/test_batch.bin", where);
    return train || read_file(s, path, e);
}
