#include "served.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool serve(const struct subject_spec *spec, struct error *e)
{
    char label[160], line[64];
    struct subject *s = subject_new(spec, e);
    struct yardsticks *y = s ? yardsticks_new(spec->isa, spec->threads) : NULL;
    const int together = y ? runs_for(s, 2e-3, e) : 0;
    bool ok = together > 0;
    if (ok) {
        subject_label(s, label, sizeof label);
        printf("serving %d %s\n", together, label);
        fflush(stdout);
    }
    while (ok && fgets(line, sizeof line, stdin)) {
        const double before = bench_now();
        const int runs = atoi(line);
        for (int i = 0; ok && i < runs; i++)
            ok = subject_run(s, e);
        printf("%.9f\n", runs > 0 ? bench_now() - before : yardstick_run(y, -runs));
        fflush(stdout);
    }
    yardsticks_free(y);
    subject_free(s);
    return ok;
}

/* --- the other end -------------------------------------------------------------------------- */

int server_cpu(const struct subject_spec *spec)
{
    return spec->threads == 1 ? sched_getcpu() : -1;
}

static void stay_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void exec_server(const char *program, const struct subject_spec *s, int in, int out)
{
    static const char *const gemm[] = {"auto", "own", "onednn"};
    char size[32], threads[16], batch[16];
    const char *argv[24] = {program, "bench", "--serve", "--filter", s->name, "--size", size,
                            "--threads", threads, "--batch", batch, "--gemm", gemm[s->gemm]};
    int n = 13;
    if (s->isa) {
        argv[n++] = "--isa";
        argv[n++] = s->isa;
    }
    if (s->work == WORK_TRAIN)
        argv[n++] = "--train";
    snprintf(size, sizeof size, "%dx%d", s->height, s->width);
    snprintf(threads, sizeof threads, "%d", s->threads);
    snprintf(batch, sizeof batch, "%d", s->batch);
    dup2(in, 0);
    dup2(out, 1);
    execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

void server_stop(struct server *s)
{
    if (s->to)
        fclose(s->to);
    if (s->from)
        fclose(s->from);
    if (s->pid > 0)
        waitpid(s->pid, NULL, 0);
    *s = (struct server){0};
}

bool server_start(struct server *s, const char *program, const struct subject_spec *spec,
                  int cpu, struct error *e)
{
    int down[2], up[2];
    char line[256];
    program = program ? program : "/proc/self/exe";
    signal(SIGPIPE, SIG_IGN);           /* a process that died is an error, not the end */
    *s = (struct server){0};
    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
        return fail(e, EXIT_USAGE, "no pipe: %s", strerror(errno));
    fflush(NULL);
    s->pid = fork();
    if (s->pid == 0) {
        close(down[1]);
        close(up[0]);
        if (cpu >= 0)
            stay_on(cpu);
        exec_server(program, spec, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    s->to = fdopen(down[1], "w");
    s->from = fdopen(up[0], "r");
    if (s->pid > 0 && s->to && s->from && fgets(line, sizeof line, s->from)
        && sscanf(line, "serving %d %159[^\n]", &s->together, s->label) == 2 && s->together > 0)
        return true;
    server_stop(s);
    return fail(e, EXIT_NOT_BUILT, "%s does not serve '%s': it must be an internimage that knows "
                                   "bench --serve", program, spec->name);
}

static double ask(struct server *s, int runs, struct error *e)
{
    char line[64];
    double seconds = 0;
    if (fprintf(s->to, "%d\n", runs) > 0 && !fflush(s->to) && fgets(line, sizeof line, s->from)
        && (seconds = atof(line)) >= 0)
        return seconds;
    fail(e, EXIT_INCONCLUSIVE, "%s: the process that runs it died", s->label);
    return -1;
}

double server_ask(struct server *s, int runs, struct error *e)
{
    return ask(s, runs, e) / runs;
}

double server_yardstick(struct server *s, enum yardstick_kind kind, struct error *e)
{
    return ask(s, -(int)kind, e);
}
