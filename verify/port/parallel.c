#include "parallel.h"

#include <pthread.h>
#include <stdbool.h>

enum { MOST_THREADS = 8 };

static void *run_task(void *task)
{
    const struct task *t = task;
    t->run(t->context);
    return NULL;
}

void tasks_run(struct task *task, int count)
{
    pthread_t thread[MOST_THREADS];
    bool started[MOST_THREADS] = {false};
    for (int i = 1; i < count && i < MOST_THREADS; i++)
        started[i] = pthread_create(&thread[i], NULL, run_task, &task[i]) == 0;
    for (int i = 0; i < count; i++)
        if (i >= MOST_THREADS || !started[i])
            run_task(&task[i]);
    for (int i = 1; i < count && i < MOST_THREADS; i++)
        if (started[i])
            pthread_join(thread[i], NULL);
}
