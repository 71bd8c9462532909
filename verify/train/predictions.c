#include "predictions.h"

#include <stdio.h>

bool predictions_write(const char *path, int64_t count, const int32_t *label,
                       const int32_t (*best)[5], struct error *e)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return fail(e, EXIT_USAGE, "%s: cannot be written", path);
    fputs("# image label, the five best classes\n", f);
    for (int64_t i = 0; i < count; i++)
        fprintf(f, "%lld %d %d %d %d %d %d\n", (long long)i, label[i], best[i][0], best[i][1],
                best[i][2], best[i][3], best[i][4]);
    return fclose(f) == 0 || fail(e, EXIT_USAGE, "%s: could not be written completely", path);
}

static bool compare_line(const char *path, const char *line, int64_t count, const int32_t *label,
                         const int32_t (*best)[5], struct agreement *out, struct error *e)
{
    long long image;
    int theirs, class;
    if (sscanf(line, "%lld %d %d", &image, &theirs, &class) != 3 || image < 0)
        return fail(e, EXIT_BAD_FILE, "%s: '%.40s' is no line `image label class ...`", path, line);
    if (image >= count)
        return true;
    if (theirs != label[image])
        return fail(e, EXIT_BAD_FILE, "%s: image %lld has label %d there and %d here: not the same "
                    "images", path, image, theirs, label[image]);
    if (class != best[image][0] && out->same == out->images) {
        out->first = image;
        out->label = theirs;
        out->here = best[image][0];
        out->there = class;
    }
    out->images++;
    out->same += class == best[image][0];
    out->right += class == theirs;
    return true;
}

bool predictions_compare(const char *path, int64_t count, const int32_t *label,
                         const int32_t (*best)[5], struct agreement *out, struct error *e)
{
    char line[512];
    FILE *f = fopen(path, "r");
    bool ok = f || fail(e, EXIT_BAD_FILE, "%s: there is no such file", path);
    *out = (struct agreement){0};
    while (ok && fgets(line, sizeof line, f))
        ok = line[0] == '#' || line[0] == '\n'
          || compare_line(path, line, count, label, best, out, e);
    if (f)
        fclose(f);
    return ok && (out->images || fail(e, EXIT_BAD_FILE, "%s: has none of the images", path));
}
