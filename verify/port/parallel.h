/* A few independent pieces of work at the same time. Threads that live as long as the work:
 * a pool would spin between layers, which costs others on a busy machine. */
#ifndef VERIFY_PORT_PARALLEL_H
#define VERIFY_PORT_PARALLEL_H

struct task {
    void (*run)(void *context);
    void *context;
};

/* Runs them all, in the caller too; one after the other where threads cannot be had. */
void tasks_run(struct task *task, int count);

#endif
