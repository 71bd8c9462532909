/* Instruction counts: every op and a small model run once between requests to callgrind,
 * which writes one dump per case. */
#ifndef VERIFY_BENCH_COUNT_H
#define VERIFY_BENCH_COUNT_H

#include "ref/error.h"

/* Cases whose label contains `filter` (NULL: all), printed on stderr as they run. Fails
 * with EXIT_NOT_BUILT outside of valgrind, or built without its headers. */
bool count_instructions(const char *filter, struct error *e);

#endif
