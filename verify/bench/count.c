#include "count.h"
#include "subject.h"

#include <stdio.h>
#include <string.h>

#if defined __has_include
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HAVE_CALLGRIND
#endif
#endif

#ifdef HAVE_CALLGRIND

static const char *const isas[] = {"generic", "avx2"};

/* Of the fast side the second run is counted: the first resolves symbols and, in oneDNN,
 * generates code. The definition has little of that and takes long. */
static bool count_one(const struct subject_spec *spec, const char *filter, struct error *e)
{
    char label[128];
    struct subject *s = subject_new(spec, e);
    if (!s)
        return false;
    subject_label(s, label, sizeof label);
    bool ok = true;
    if (!filter || strstr(label, filter)) {
        fprintf(stderr, "%s\n", label);
        if (spec->work != WORK_REF && spec->work != WORK_REF_BACKWARD)
            ok = subject_run(s, e);
        CALLGRIND_ZERO_STATS;
        ok = ok && subject_run(s, e);
        CALLGRIND_DUMP_STATS_AT(label);
    }
    subject_free(s);
    return ok;
}

static bool count_everywhere(struct subject_spec spec, const char *filter, struct error *e)
{
    struct subject_spec ref = spec;
    ref.height = ref.width = strcmp(spec.name, "pico") ? 6 : spec.height;
    ref.work = WORK_REF;
    bool ok = count_one(&ref, filter, e);
    ref.work = WORK_REF_BACKWARD;
    ok = ok && count_one(&ref, filter, e);
    for (size_t i = 0; ok && i < sizeof isas / sizeof *isas; i++) {
        struct error why = {0};
        spec.isa = isas[i];
        if (!kernels_select(isas[i], &why))
            continue;
        spec.work = WORK_FORWARD;
        ok = count_one(&spec, filter, e);
        spec.work = WORK_BACKWARD;
        ok = ok && count_one(&spec, filter, e);
    }
    return ok;
}

bool count_instructions(const char *filter, struct error *e)
{
    if (!RUNNING_ON_VALGRIND)
        return fail(e, EXIT_NOT_BUILT, "--count only works under valgrind --tool=callgrind; "
                                       "ci/instructions starts it");
    bool ok = true;
    const char *name;
    for (int i = 0; ok && (name = subject_names("ops", i)); i++)
        ok = count_everywhere((struct subject_spec){.name = name, .height = 20, .width = 20,
                                                    .batch = 1, .threads = 1, .gemm = GEMM_OWN},
                              filter, e);
    return ok && count_everywhere((struct subject_spec){.name = "pico", .height = 32, .width = 32,
                                                        .batch = 1, .threads = 1,
                                                        .gemm = GEMM_OWN}, filter, e);
}

#else

bool count_instructions(const char *filter, struct error *e)
{
    (void)filter;
    return fail(e, EXIT_NOT_BUILT, "built without valgrind/callgrind.h, so nothing can be counted");
}

#endif
