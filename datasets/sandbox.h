/* Work on a file from outside in a child process. libhdf5 may crash, spin or eat all memory
 * on a damaged file (1.10.8 does); in here that ends the child only and comes back as
 * EXIT_BAD_FILE and a sentence.
 *
 * h5_open() has a rehearsal of its own, which catches what crashes while the objects are
 * listed and small data is read. The sandbox covers everything to the end and replaces the
 * rehearsal; the price is that nothing but an exit code, an error and what was printed comes
 * out. */
#ifndef DATASETS_SANDBOX_H
#define DATASETS_SANDBOX_H

#include "child.h"
#include "ref/error.h"

/* For the command line: 4 GiB, 10 minutes of CPU time. */
extern const struct child_limits sandbox_usual;

/* Runs work(context, e) in a child; returns its exit code, *e is what it filled. `path` is
 * the file that gets the blame. */
int sandbox_run(int (*work)(void *context, struct error *e), void *context,
                const struct child_limits *limits, const char *path, struct error *e);

#endif
