/* A case run by a process of its own, on demand: it says how long its runs took. A process
 * is one throw of the dice on memory layout, so rounds of a measurement start new ones. */
#ifndef VERIFY_BENCH_SERVED_H
#define VERIFY_BENCH_SERVED_H

#include "measure.h"

#include <stdio.h>
#include <sys/types.h>

/* What `bench --serve` does: answers on stdout how long the runs asked for on stdin took,
 * until its end; asked for -k, how long one go of yardstick k took. */
bool serve(const struct subject_spec *spec, struct error *e);

/* --- the other end -------------------------------------------------------------------- */

struct server {
    pid_t pid;
    FILE *to, *from;
    char label[160];
    int together;                       /* runs that take about 2 ms */
};

/* The CPU for the processes of one round: where this one is now, if the case has one thread.
 * CPUs of one machine can differ by a third for a while (what runs on the other half of the
 * core, perhaps in another virtual machine); what is compared must share one. -1: any. */
int server_cpu(const struct subject_spec *spec);
/* `program`: an internimage; NULL: this one. cpu: from server_cpu(). */
bool server_start(struct server *s, const char *program, const struct subject_spec *spec,
                  int cpu, struct error *e);
/* Seconds of one run of `runs`; negative after filling *e. */
double server_ask(struct server *s, int runs, struct error *e);
/* Seconds of one go of a yardstick, 0: it has none; negative after filling *e. */
double server_yardstick(struct server *s, enum yardstick_kind kind, struct error *e);
void server_stop(struct server *s);

#endif
