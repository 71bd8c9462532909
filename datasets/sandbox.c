#include "sandbox.h"
#include "h5.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const struct sandbox_limits sandbox_usual = {(int64_t)4 << 30, 600};

/* AddressSanitizer reserves terabytes of address space. */
#if defined __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif

static void set_limit(int which, int64_t most)
{
    const struct rlimit limit = {(rlim_t)most, (rlim_t)most};
    setrlimit(which, &limit);
}

static void work_in_child(int (*work)(void *context, struct error *e), void *context,
                          const struct sandbox_limits *limits, int to)
{
    const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGXCPU};
    struct error e = {0};
    set_limit(RLIMIT_CORE, 0);
    if (limits->seconds)
        set_limit(RLIMIT_CPU, limits->seconds);
    if (limits->memory && !WITH_ASAN)
        set_limit(RLIMIT_AS, limits->memory);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        signal(deadly[i], SIG_DFL);     /* die quietly, also under a sanitizer */
    h5_set_rehearsal(false);
    int code = work(context, &e);
    fflush(NULL);
    /* Shorter than a pipe's buffer, so it is never written in part. */
    if (write(to, &e, sizeof e) != (ssize_t)sizeof e)
        code = EXIT_INCONCLUSIVE;
    _exit(code);
}

static int blame(const char *path, int status, const struct sandbox_limits *limits,
                 struct error *e)
{
    int sign = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (limits->seconds && (sign == SIGXCPU || sign == SIGKILL))
        fail(e, EXIT_BAD_FILE, "%s: damaged: reading it took more than %d seconds, or was killed",
             path, limits->seconds);
    else if (sign)
        fail(e, EXIT_BAD_FILE, "%s: damaged: the process that read it crashed (%s)", path,
             strsignal(sign));
    else
        fail(e, EXIT_BAD_FILE, "%s: damaged: the process that read it ended with code %d and "
             "without a word", path, WEXITSTATUS(status));
    return EXIT_BAD_FILE;
}

int sandbox_run(int (*work)(void *context, struct error *e), void *context,
                const struct sandbox_limits *limits, const char *path, struct error *e)
{
    int ends[2], status = 0;
    struct error said = {0};
    if (pipe(ends) != 0) {
        fail(e, EXIT_USAGE, "no sandbox: %s", strerror(errno));
        return EXIT_USAGE;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work_in_child(work, context, limits, ends[1]);
    }
    close(ends[1]);
    ssize_t got = child < 0 ? 0 : -1;
    while (got < 0 && (got = read(ends[0], &said, sizeof said)) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    pid_t ended = -1;
    while (child > 0 && (ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        ;
    if (ended < 0) {
        fail(e, EXIT_USAGE, "no sandbox: %s", strerror(errno));
        return EXIT_USAGE;
    }
    if (!WIFEXITED(status) || got != (ssize_t)sizeof said)
        return blame(path, status, limits, e);
    if (said.text[0])
        fail(e, said.code, "%s", said.text);
    return WEXITSTATUS(status);
}
