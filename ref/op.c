/* The op table. */
#include "row.h"

#include <string.h>

#define OP(name) extern const struct REF(op) REF(name##_op);
#include "ops.def"
#undef OP

const struct REF(op) *REF(op_row)(enum op_kind kind)
{
    static const struct REF(op) *const table[OP_COUNT] = {
#define OP(name) [OP_##name] = &REF(name##_op),
#include "ops.def"
#undef OP
    };
    return table[kind];
}

#if REF_BITS == 64
enum op_kind op_find(const char *name)
{
    int kind = 0;
    while (kind < OP_COUNT && strcmp(REF(op_row)((enum op_kind)kind)->name, name))
        kind++;
    return (enum op_kind)kind;
}
#endif
