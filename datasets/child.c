#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FINISHED = 93 };               /* no code of which foreign code would think */

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

/* At the soft limit of CPU time comes SIGXCPU, which tells, at the hard one SIGKILL. */
static void set_limit(int which, int64_t soft, int64_t hard)
{
    const struct rlimit limit = {(rlim_t)soft, (rlim_t)hard};
    setrlimit(which, &limit);
}

/* Signals get their default action, so that a sanitizer's handler reports nothing of its own
 * and the parent sees the signal. */
static void become_child(void (*work)(void *), void *context, const struct child_limits *limits)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    set_limit(RLIMIT_CORE, 0, 0);
    if (limits->cpu_seconds)
        set_limit(RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1);
    if (limits->memory && !WITH_ASAN)
        set_limit(RLIMIT_AS, limits->memory, limits->memory);
    alarm(limits->seconds);
    work(context);
    _exit(FINISHED);
}

enum child_end child_run(void (*work)(void *context), void *context,
                         const struct child_limits *limits, char *how, size_t size)
{
    int status = 0;
    fflush(NULL);                       /* or the child would print it again */
    const pid_t child = fork();
    if (child == 0)
        become_child(work, context, limits);
    pid_t ended = -1;
    while (child > 0 && (ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        ;                               /* a timer of the program's may interrupt */
    if (ended < 0) {
        snprintf(how, size, "could not be started: %s", strerror(errno));
        return CHILD_NOT_STARTED;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == FINISHED)
        return CHILD_DONE;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(how, size, "did not finish within %u s", limits->seconds);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        snprintf(how, size, "did not finish within %d s of CPU time", limits->cpu_seconds);
    else if (WIFSIGNALED(status))
        snprintf(how, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, size, "ended with exit code %d", WEXITSTATUS(status));
    return CHILD_DIED;
}

void *child_memory(size_t bytes)
{
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return m == MAP_FAILED ? NULL : m;
}

void child_memory_free(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes);
}
