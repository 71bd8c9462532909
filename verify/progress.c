#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

void progress(const char *unit, int done, int total)
{
    static struct timespec last;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!isatty(STDERR_FILENO) && done != total)
        return;
    if (now.tv_sec == last.tv_sec && now.tv_nsec - last.tv_nsec < 200000000 && done != total)
        return;
    last = now;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s %d/%d", unit, done, total);
    else if (total > 1)
        fprintf(stderr, "ran %s: %d nodes\n", unit, total);
}

void progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}
