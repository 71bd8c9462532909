/* Shared by the readers and the writer of this directory only. */
#ifndef DATASETS_H5_FILE_H
#define DATASETS_H5_FILE_H

#include "h5.h"

#include <hdf5.h>

struct h5_file {
    hid_t id;
    char path[4096];
    bool writing;
};

/* Longest object path put together from group and key. */
enum { H5_PATH = 1024 };

/* Once per process: no error stack on stderr, no plugin from the environment. */
void h5_prepare(void);
int64_t h5_limit(void);

/* Whether libhdf5 survives the file: tried in a child process. */
bool h5_survives(const char *path, struct error *e);

/* Checks that every step of `path` is a hard link and stays inside the file; returns
 * the object's id (>= 0, close with H5Oclose) or -1 after filling *e. */
hid_t h5_object(struct h5_file *f, const char *path, struct error *e);

/* The dataset at `path`, to be read in pieces: the checks of h5_describe(), but it may be
 * empty, larger than the limit, and of an enum of one byte. -1 after filling *e. */
hid_t h5_open_dataset(struct h5_file *f, const char *path, struct h5_info *info,
                      struct error *e);

/* Like h5_each_key(), but with the object's path. */
bool h5_each_path(struct h5_file *f, const char *group,
                  bool (*visit)(void *context, const char *path), void *context,
                  struct error *e);

#endif
