/* What `diagnose` found out about one layer, for people and for machines. */
#ifndef VERIFY_DIAGNOSIS_H
#define VERIFY_DIAGNOSIS_H

#include "verify/port/replay.h"

struct diagnosis {
    char layer[NAME_SIZE];      /* PyTorch path, or the file of one op */
    const struct node *node;
    const char *type;           /* "float32" ... */
    double limit;               /* as replay_case.limit */
    struct replay replay;
    bool overflow;              /* values beyond the type's largest */
    const struct convention *block;     /* a mistake of the whole block; NULL: none */
    double block_error;         /* largest error of the block's layers under it */
};

/* EXIT_MATCH, EXIT_MISMATCH when the cause is known, EXIT_INCONCLUSIVE. */
int diagnosis_code(const struct diagnosis *d);
void diagnosis_print(const struct diagnosis *d, bool verbose);
void diagnosis_json(const struct diagnosis *d);

#endif
