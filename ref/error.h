/* One sentence about what went wrong. Every function that can fail takes a
 * `struct error *` and fills it: what was being done, to which file or layer,
 * what was expected, what was found. Only main() prints it and exits. */
#ifndef REF_ERROR_H
#define REF_ERROR_H

#include <stdbool.h>

/* Exit codes of the command line; carried by an error so that main() need not
 * guess which kind of failure a sentence describes. */
enum exit_code {
    EXIT_MATCH = 0,        /* everything agreed */
    EXIT_MISMATCH = 1,     /* a comparison failed */
    EXIT_USAGE = 2,        /* the command line makes no sense */
    EXIT_BAD_FILE = 3,     /* a file is malformed or not supported */
    EXIT_NOT_BUILT = 4,    /* this build lacks the feature */
    EXIT_INCONCLUSIVE = 5, /* nothing could be decided */
};

struct error {
    enum exit_code code;
    char text[512];
};

/* Fills *e and returns false, so that callers write `return fail(e, ...)`.
 * `e` may be NULL. The first error wins: a filled error is not overwritten. */
bool fail(struct error *e, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts `where` (a file, say) in front of the sentence unless it is there already. */
void error_in(struct error *e, const char *where);

#endif
