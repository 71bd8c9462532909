#include "progress.h"

#include "verify/bench/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

struct progress progress_start(const char *what, int64_t total, bool on)
{
    const double now = bench_now();
    return (struct progress){.what = what, .total = total, .start = now, .shown = now + 0.8,
                             .on = on && isatty(STDERR_FILENO)};
}

void progress_show(struct progress *p, int64_t done, const char *format, ...)
{
    const double now = bench_now(), spent = now - p->start;
    if (!p->on || now - p->shown < 0.2)
        return;
    const double part = (double)(done - p->first) / (double)(p->total - p->first);
    const long left = (long)(spent / (part > 1e-9 ? part : 1e-9) - spent + 0.5);
    p->shown = now;
    p->visible = true;
    fprintf(stderr, "\r\033[K%s %lld/%lld, %ld:%02ld:%02ld left, ", p->what, (long long)done,
            (long long)p->total, left / 3600, left / 60 % 60, left % 60);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fflush(stderr);
}

void progress_stop(struct progress *p)
{
    if (p->visible)
        fputs("\r\033[K", stderr);
}
