/* Running foreign code where it can do no harm: in a child process, with a time limit. */
#ifndef VERIFY_PORT_CHILD_H
#define VERIFY_PORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>

/* Runs work(context) in a copy of this process and waits for it. False when it crashed, was
 * stopped after `seconds` or ended in another way than by returning; `how` then says so, to
 * be read after a name: "was killed by signal 11 (Segmentation fault)". What the child leaves
 * behind is what it wrote into memory from child_memory(). */
bool child_run(void (*work)(void *context), void *context, unsigned seconds, char *how, size_t size);

/* Zeroed memory that parent and children share; NULL when there is none. */
void *child_memory(size_t bytes);
void child_memory_free(void *memory, size_t bytes);

#endif
