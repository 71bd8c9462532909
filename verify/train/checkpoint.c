#include "checkpoint.h"

#include "datasets/config_file.h"

#include <stdlib.h>
#include <string.h>

enum { PLAN_SIZE = 2048 };

static bool write_group(struct h5_file *f, const char *group, const struct graph *g,
                        float *const *values, struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && values && i < g->params; i++)
        ok = h5_write_f32(f, group, g->param[i].key, g->param[i].shape.rank, g->param[i].shape.dim,
                          values[i], e);
    return ok;
}

bool checkpoint_write(const char *path, const struct learner *l, const struct epoch_sums *sums,
                      const char *plan, struct error *e)
{
    struct h5_file *f = h5_create(path, e);
    const bool ok = f && h5_write_attr_string(f, "format", "internimage-checkpoint", e)
                 && h5_write_attr_int(f, "version", 1, e)
                 && h5_write_attr_string(f, "plan", plan, e)
                 && h5_write_attr_int(f, "step", l->step, e)
                 && h5_write_attr_double(f, "epoch_loss", sums->loss, e)
                 && h5_write_attr_int(f, "epoch_correct", sums->correct, e)
                 && h5_write_attr_double(f, "seconds", sums->seconds, e)
                 && write_group(f, "param", l->graph, l->run->param, e)
                 && write_group(f, "m", l->graph, l->m, e)
                 && write_group(f, "v", l->graph, l->v, e)
                 && write_group(f, "average", l->graph, l->average, e);
    return h5_close(f, e) && ok;
}

static bool read_group(struct h5_file *f, const char *group, const struct graph *g,
                       float *const *values, struct error *e)
{
    bool ok = true;
    for (int i = 0; ok && values && i < g->params; i++)
        ok = param_read(f, group, &g->param[i], values[i], e);
    return ok;
}

static bool check_head(struct h5_file *f, const char *path, const char *plan, struct error *e)
{
    char format[64], theirs[PLAN_SIZE];
    int64_t version;
    if (!h5_attr_string(f, "", "format", format, sizeof format, e)
        || !h5_attr_int(f, "", "version", &version, e)
        || !h5_attr_string(f, "", "plan", theirs, sizeof theirs, e))
        return false;
    if (strcmp(format, "internimage-checkpoint") || version != 1)
        return fail(e, EXIT_BAD_FILE, "%s: a '%s' of version %lld, expected "
                    "'internimage-checkpoint' of version 1", path, format, (long long)version);
    size_t at = 0;
    while (theirs[at] && theirs[at] == plan[at])
        at++;
    if (!theirs[at] && !plan[at])
        return true;
    while (at > 0 && plan[at - 1] != ' ')
        at--;
    return fail(e, EXIT_USAGE, "%s: belongs to another training: it has '%.40s...', this one "
                "'%.40s...'", path, theirs + at, plan + at);
}

bool checkpoint_read(const char *path, struct learner *l, struct epoch_sums *sums,
                     const char *plan, struct error *e)
{
    struct h5_file *f = h5_open(path, e);
    const bool ok = f && check_head(f, path, plan, e)
                 && h5_attr_int(f, "", "step", &l->step, e)
                 && h5_attr_double(f, "", "epoch_loss", &sums->loss, e)
                 && h5_attr_int(f, "", "epoch_correct", &sums->correct, e)
                 && h5_attr_double(f, "", "seconds", &sums->seconds, e)
                 && (l->step >= 0 || fail(e, EXIT_BAD_FILE, "%s: step %lld", path,
                                          (long long)l->step))
                 && read_group(f, "param", l->graph, l->run->param, e)
                 && read_group(f, "m", l->graph, l->m, e)
                 && read_group(f, "v", l->graph, l->v, e)
                 && read_group(f, "average", l->graph, l->average, e);
    error_in(e, path);
    h5_close(f, NULL);
    return ok;
}
