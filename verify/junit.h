/* A JUnit file, as CI servers read it: one suite, its test cases in order. */
#ifndef VERIFY_JUNIT_H
#define VERIFY_JUNIT_H

#include "ref/error.h"

#include <stdio.h>

struct junit {
    FILE *to;
    char path[1024];
};

bool junit_open(struct junit *j, const char *path, const char *suite, int tests, int failures,
                int skipped, struct error *e);
/* failure: what is wrong, NULL when it passed; skipped: why, NULL when it ran. */
void junit_case(struct junit *j, const char *class_name, const char *name, const char *failure,
                const char *skipped);
bool junit_close(struct junit *j, struct error *e);

/* Text for XML and HTML: markup and what XML cannot hold is replaced. */
void xml_text(FILE *to, const char *text);

#endif
