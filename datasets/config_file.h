/* The architecture as HDF5 attributes (docs/formats.md, `config.*`). */
#ifndef DATASETS_CONFIG_FILE_H
#define DATASETS_CONFIG_FILE_H

#include "datasets/h5.h"
#include "ref/internimage.h"

/* Reads and checks it. Every attribute without a default must be there. */
bool config_read(struct h5_file *f, const char *path, struct internimage_config *c,
                 struct error *e);

/* For writers: its attributes that are one integer. */
struct config_number {
    const char *name;
    int value;
};
enum { CONFIG_NUMBERS = 14 };
void config_numbers(const struct internimage_config *c, struct config_number to[CONFIG_NUMBERS]);

/* Reads parameter `p` from `group` as float32; exact shape required. */
bool param_read(struct h5_file *f, const char *group, const struct param *p, float *out,
                struct error *e);

#endif
