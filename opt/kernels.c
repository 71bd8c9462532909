#include "kernels.h"

#include <stdlib.h>
#include <string.h>

const char *const kernel_names[KERNEL_TABLES] = {"generic", "avx2", "avx512"};

extern const struct kernels kernels_generic;
#if defined __x86_64__
extern const struct kernels kernels_avx2, kernels_avx512;
#endif

const struct kernels *kernels_at(int index)
{
#if defined __x86_64__
    if (index == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
             ? &kernels_avx512 : NULL;
    if (index == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels_avx2
                                                                                : NULL;
#endif
    return index == 0 ? &kernels_generic : NULL;
}

const struct kernels *kernels_select(const char *isa, struct error *e)
{
    if (!isa || !*isa)
        isa = getenv("INTERNIMAGE_ISA");
    for (int i = KERNEL_TABLES - 1; i >= 0; i--) {
        const struct kernels *k = kernels_at(i);
        if ((!isa || !*isa) && k)
            return k;
        if (isa && *isa && !strcmp(isa, kernel_names[i])) {
            if (!k)
                fail(e, EXIT_NOT_BUILT, "this CPU has no %s", isa);
            return k;
        }
    }
    fail(e, EXIT_USAGE, "ISA '%s' is none of generic, avx2, avx512", isa);
    return NULL;
}
