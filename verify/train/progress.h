/* A line on stderr that says how far something is and when it will be done; nothing in the
 * first second, and nothing when stderr is no terminal. */
#ifndef VERIFY_TRAIN_PROGRESS_H
#define VERIFY_TRAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;
    int64_t first, total;               /* first: done before the clock started */
    double start, shown;                /* seconds */
    bool on, visible;
};

struct progress progress_start(const char *what, int64_t total, bool on);
void progress_show(struct progress *p, int64_t done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void progress_stop(struct progress *p);

#endif
