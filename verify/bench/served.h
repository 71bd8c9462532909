/* A case run by a process of its own, on demand: it says how long its runs took. A process
 * is one throw of the dice on memory layout, so rounds of a measurement start new ones. */
#ifndef VERIFY_BENCH_SERVED_H
#define VERIFY_BENCH_SERVED_H

#include "subject.h"

#include <stdio.h>
#include <sys/types.h>

/* What `bench --serve` does: answers on stdout how long the runs asked for on stdin took,
 * until its end. */
bool serve(const struct subject_spec *spec, struct error *e);

/* --- the other end -------------------------------------------------------------------- */

struct server {
    pid_t pid;
    FILE *to, *from;
    char label[160];
    int together;                       /* runs that take about 2 ms */
};

/* `program`: an internimage; NULL: this one. */
bool server_start(struct server *s, const char *program, const struct subject_spec *spec,
                  struct error *e);
/* Seconds of one run of `runs`; negative after filling *e. */
double server_ask(struct server *s, int runs, struct error *e);
void server_stop(struct server *s);

#endif
