/* Running what may crash, spin or eat all memory - foreign code, a library on a damaged file -
 * where it can do no harm: in a child process, with limits. */
#ifndef DATASETS_CHILD_H
#define DATASETS_CHILD_H

#include <stddef.h>
#include <stdint.h>

struct child_limits {
    unsigned seconds;           /* by the clock; 0: no end */
    int cpu_seconds;            /* 0: no end */
    int64_t memory;             /* address space in bytes; 0: as much as there is */
};

enum child_end { CHILD_DONE, CHILD_DIED, CHILD_NOT_STARTED };

/* Runs work(context) in a copy of this process and waits for it. DONE: it returned. DIED: it
 * crashed, ran into a limit or ended the process. `how` then says so, to be read after a name:
 * "was killed by signal 11 (Segmentation fault)"; NOT_STARTED: it says why. What the child
 * leaves behind is what it wrote into memory from child_memory(), and into files: what it
 * prints it has to flush. To be called before any thread is started: the child has none but
 * its own. */
enum child_end child_run(void (*work)(void *context), void *context,
                         const struct child_limits *limits, char *how, size_t size);

/* Zeroed memory that parent and children share; NULL when there is none. */
void *child_memory(size_t bytes);
void child_memory_free(void *memory, size_t bytes);

#endif
