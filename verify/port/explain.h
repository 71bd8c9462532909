/* The catalogue in words: one mistake, the list, or the page docs/mistakes.md. */
#ifndef VERIFY_EXPLAIN_H
#define VERIFY_EXPLAIN_H

#include "verify/port/conventions.h"

#include <stdio.h>

void explain_one(FILE *to, const struct convention *c);
void explain_all(FILE *to);             /* one line each */
void explain_markdown(FILE *to);

#endif
