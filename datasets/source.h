/* The bytes of a regular file, read at any position. Used by the readers of this
 * directory that take files apart themselves. */
#ifndef DATASETS_SOURCE_H
#define DATASETS_SOURCE_H

#include "ref/error.h"

#include <stdbool.h>
#include <stdint.h>

struct source {
    int fd;
    int64_t size;
    char path[4096];
};

bool source_open(struct source *s, const char *path, struct error *e);
void source_close(struct source *s);
/* All `bytes` bytes from `at`; `what` they are goes into the sentence when they are
 * not there. */
bool source_read(const struct source *s, int64_t at, int64_t bytes, void *out, const char *what,
                 struct error *e);

/* Whether a name from outside is UTF-8 without control characters: it goes into sentences
 * on a terminal, and into JSON. */
bool printable(const char *name);

/* Little endian, at any alignment. */
static inline uint64_t load_le(const unsigned char *from, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

#endif
