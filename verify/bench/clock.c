#include "clock.h"

#include <omp.h>
#include <stdlib.h>
#include <time.h>

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct timing timing_of(double *seconds, int count)
{
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    return (struct timing){.median = seconds[count / 2], .least = seconds[0], .repeats = count};
}

double bench_fma(const struct kernels *k, int threads, int64_t rounds)
{
    double flops = 0, start = 0, seconds = 0;
#pragma omp parallel num_threads(threads) reduction(+ : flops)
    {
        k->peak(rounds / 1000 + 1);
#pragma omp barrier
#pragma omp master
        start = bench_now();
        flops += k->peak(rounds);
#pragma omp barrier
#pragma omp master
        seconds = bench_now() - start;
    }
    return flops / seconds;
}

double bench_peak(const struct kernels *k, int threads)
{
    return bench_fma(k, threads, 1000000);
}

double bench_bandwidth(int threads)
{
    const size_t count = (size_t)16 << 20;      /* floats per thread: 64 MB */
    double best = 0;
    float *data = malloc(count * sizeof *data * (size_t)threads);
    if (!data)
        return 0;
    for (int repeat = 0; repeat < 4; repeat++) {
        double start = 0, seconds = 0;
        long sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        {
            const long *words = (const long *)(data + count * (size_t)omp_get_thread_num());
            if (repeat == 0)
                for (size_t i = 0; i < count; i++)
                    data[count * (size_t)omp_get_thread_num() + i] = (float)i;
#pragma omp barrier
#pragma omp master
            start = bench_now();
            for (size_t i = 0; i < count / 2; i++)
                sum += words[i];
#pragma omp barrier
#pragma omp master
            seconds = bench_now() - start;
        }
        double rate = (double)(count * sizeof *data) * threads / seconds;
        best = repeat && rate > best && sum != 1 ? rate : best;
    }
    free(data);
    return best;
}
