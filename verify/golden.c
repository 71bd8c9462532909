#include "golden.h"

#include <string.h>

bool golden_kind(struct h5_file *f, const char *path, char *kind, size_t size, struct error *e)
{
    char format[64];
    int64_t version;
    if (!h5_attr_string(f, "", "format", format, sizeof format, e)
        || !h5_attr_int(f, "", "version", &version, e)
        || !h5_attr_string(f, "", "kind", kind, size, e))
        return false;
    if (strcmp(format, "internimage-golden"))
        return fail(e, EXIT_BAD_FILE, "%s: its format is '%s', expected 'internimage-golden'",
                    path, format);
    if (version != 1)
        return fail(e, EXIT_BAD_FILE, "%s: golden version %lld, this program reads version 1",
                    path, (long long)version);
    return true;
}

bool golden_verify(const char *path, const struct golden_options *o, struct findings *found,
                   struct error *e)
{
    char kind[32];
    struct h5_file *f = h5_open(path, e);
    if (!f)
        return false;
    bool ok = golden_kind(f, path, kind, sizeof kind, e);
    if (ok && !strcmp(kind, "ops"))
        ok = golden_ops(f, path, o, found, e);
    else if (ok && !strcmp(kind, "model"))
        ok = golden_model(f, path, o, found, e);
    else if (ok)
        ok = fail(e, EXIT_BAD_FILE, "%s: a golden of kind '%s', expected 'ops' or 'model'", path,
                  kind);
    h5_close(f, NULL);
    error_in(e, path);
    return ok;
}
