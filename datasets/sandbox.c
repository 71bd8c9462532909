#include "sandbox.h"
#include "h5.h"

#include <stdio.h>

const struct child_limits sandbox_usual = {.memory = (int64_t)4 << 30, .cpu_seconds = 600};

struct visit {
    int (*work)(void *context, struct error *e);
    void *context;
    struct error said;
    int code;
};

static void visit(void *shared)
{
    struct visit *v = shared;
    h5_set_rehearsal(false);
    v->code = v->work(v->context, &v->said);
    fflush(NULL);
}

int sandbox_run(int (*work)(void *context, struct error *e), void *context,
                const struct child_limits *limits, const char *path, struct error *e)
{
    char how[160] = "could not be started: out of memory";
    struct visit *v = child_memory(sizeof *v);
    enum child_end end = CHILD_NOT_STARTED;
    int code = EXIT_USAGE;
    if (v) {
        *v = (struct visit){.work = work, .context = context};
        end = child_run(visit, v, limits, how, sizeof how);
    }
    if (end == CHILD_DONE) {
        code = v->code;
        if (v->said.text[0])
            fail(e, v->said.code, "%s", v->said.text);
    } else {
        code = end == CHILD_DIED ? EXIT_BAD_FILE : EXIT_USAGE;
        fail(e, code, "%s: %sthe process that read it %s", path,
             end == CHILD_DIED ? "damaged: " : "", how);
    }
    child_memory_free(v, sizeof *v);
    return code;
}
