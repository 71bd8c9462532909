/* Reading a zip archive: stored and deflated entries, zip64. Encryption, several disks,
 * entries that share bytes and other methods are refused. An entry is read like a file, at
 * any position; its checksum is compared when it has been read from start to end.
 * Format: PKWARE's APPNOTE. */
#ifndef DATASETS_ZIP_H
#define DATASETS_ZIP_H

#include "source.h"

struct zip;

struct zip *zip_open(const struct source *s, struct error *e);     /* s outlives it */
void zip_close(struct zip *z);                                      /* NULL is fine */
int zip_count(const struct zip *z);
const char *zip_name(const struct zip *z, int entry);
int64_t zip_size(const struct zip *z, int entry);                   /* unpacked bytes */
/* Going back in a deflated entry, or to another, starts to unpack anew. */
bool zip_read(struct zip *z, int entry, int64_t at, int64_t bytes, void *out, struct error *e);

#endif
