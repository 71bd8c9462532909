#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool source_open(struct source *s, const char *path, struct error *e)
{
    struct stat info;
    s->fd = -1;
    if (snprintf(s->path, sizeof s->path, "%s", path) >= (int)sizeof s->path)
        return fail(e, EXIT_BAD_FILE, "the path is longer than %zu characters", sizeof s->path - 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);     /* a pipe must not block us */
    if (fd < 0)
        return fail(e, EXIT_BAD_FILE, "%s: %s", path,
                    errno == ENOENT ? "there is no such file" : strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return fail(e, EXIT_BAD_FILE, "%s: not a regular file", path);
    }
    s->fd = fd;
    s->size = info.st_size;
    return true;
}

void source_close(struct source *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

bool source_read(const struct source *s, int64_t at, int64_t bytes, void *out, const char *what,
                 struct error *e)
{
    char *to = out;
    if (at < 0 || bytes < 0 || at > s->size || bytes > s->size - at)
        return fail(e, EXIT_BAD_FILE, "%s: cut off: %s should be %lld bytes at %lld, the file has "
                    "%lld", s->path, what, (long long)bytes, (long long)at, (long long)s->size);
    while (bytes > 0) {
        ssize_t got = pread(s->fd, to, bytes < 1 << 30 ? (size_t)bytes : 1 << 30, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail(e, EXIT_BAD_FILE, "%s: %s cannot be read: %s", s->path, what,
                        got < 0 ? strerror(errno) : "the file was cut off meanwhile");
        at += got;
        to += got;
        bytes -= got;
    }
    return true;
}

/* Length of the UTF-8 character at s; 0: none, or one that a terminal would act on. */
static int character(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    uint32_t code = length < 2 ? s[0] : s[0] & (0x7Fu >> length);
    for (int i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3F);
    }
    bool fits = length && code >= least[length] && code <= 0x10FFFF && code >> 11 != 0x1B;
    return fits && code >= 0x20 && (code < 0x7F || code > 0x9F) ? length : 0;
}

bool printable(const char *name)
{
    for (int step; *name; name += step)
        if (!(step = character((const unsigned char *)name)))
            return false;
    return true;
}
