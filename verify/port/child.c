#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FINISHED = 93 };               /* no code of which foreign code would think */

/* Signals get their default action, so that a sanitizer's handler reports nothing of its own
 * and the parent sees the signal. */
static void become_child(void (*work)(void *), void *context, unsigned seconds)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    alarm(seconds);
    work(context);
    _exit(FINISHED);
}

bool child_run(void (*work)(void *context), void *context, unsigned seconds, char *how, size_t size)
{
    int status = 0;
    fflush(NULL);                       /* or the child would print it again */
    const pid_t child = fork();
    if (child == 0)
        become_child(work, context, seconds);
    if (child < 0) {
        snprintf(how, size, "could not be started: %s", strerror(errno));
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == FINISHED)
        return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(how, size, "did not finish within %u s", seconds);
    else if (WIFSIGNALED(status))
        snprintf(how, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, size, "ended the process with exit code %d", WEXITSTATUS(status));
    return false;
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
