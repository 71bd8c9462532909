/* The reference is compiled twice from the same source: -DREF_BITS=32 gives
 * ref32_* in float, -DREF_BITS=64 gives ref64_* in double. REF(name) puts the
 * prefix on a name, `real` is the number type. A file that needs both sets of
 * declarations includes ref/ref.h instead. */
#ifndef REF_REAL_H
#define REF_REAL_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if REF_BITS == 32
typedef float real;
#define REF(name) ref32_##name
#elif REF_BITS == 64
typedef double real;
#define REF(name) ref64_##name
#else
#error "compile with -DREF_BITS=32 or -DREF_BITS=64"
#endif

#endif
