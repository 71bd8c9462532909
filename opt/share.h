#ifndef OPT_SHARE_H
#define OPT_SHARE_H

#include <stdint.h>

/* [first, last) of `count` things for one thread. */
struct share {
    int64_t first, last;
};

static inline struct share share_of(int64_t count, int thread, int threads)
{
    return (struct share){count * thread / threads, count * (thread + 1) / threads};
}

#endif
