/* Work on a file from outside in a child process. libhdf5 may crash, spin or eat all memory
 * on a damaged file (1.10.8 does); in here that ends the child only and comes back as
 * EXIT_BAD_FILE and a sentence.
 *
 * h5_open() has a rehearsal of its own, which catches what crashes while the objects are
 * listed and small data is read. The sandbox covers everything to the end and replaces the
 * rehearsal; the price is that nothing but an exit code, an error and what was printed comes
 * out. To be entered before any thread is started (the child has none but its own). */
#ifndef DATASETS_SANDBOX_H
#define DATASETS_SANDBOX_H

#include "ref/error.h"

#include <stdint.h>

struct sandbox_limits {
    int64_t memory;             /* address space in bytes; 0: as much as there is */
    int seconds;                /* of CPU time; 0: no end */
};

/* For the command line: 4 GiB, 10 minutes. */
extern const struct sandbox_limits sandbox_usual;

/* Runs work(context, e) in a child; returns its exit code, *e is what it filled. `path` is
 * the file that gets the blame. */
int sandbox_run(int (*work)(void *context, struct error *e), void *context,
                const struct sandbox_limits *limits, const char *path, struct error *e);

#endif
