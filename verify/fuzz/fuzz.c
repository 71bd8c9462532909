#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_path(const void *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0 && (fd = memfd_create("fuzz", 0)) < 0)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    while (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        if (errno != EINTR)             /* libFuzzer's timer */
            abort();
    return path;
}

void fuzz_refused(const struct error *e, const char *path)
{
    if (e->code == EXIT_BAD_FILE && strstr(e->text, path))
        return;
    fprintf(stderr, "refused with exit code %d: '%s'\n", e->code, e->text);
    abort();
}
