/* What the fuzz targets share: the fuzzer's bytes as a file with a path. */
#ifndef VERIFY_FUZZ_H
#define VERIFY_FUZZ_H

#include "ref/error.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory; the same path every time, the last contents only. */
const char *fuzz_path(const void *data, size_t size);

/* A refusal must be EXIT_BAD_FILE with a sentence that names the file; anything else stops
 * the fuzzer. */
void fuzz_refused(const struct error *e, const char *path);

#endif
