/* The results file of `internimage ablate`: one JSON object per line and finished run. */
#include "ablate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- reading a flat line ------------------------------------------------------------- */

/* Behind `"key": `; NULL when the line has no such key. */
static const char *find_value(const char *line, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(line, quoted);
    return at ? at + strlen(quoted) : NULL;
}

static double number_of(const char *line, const char *key)
{
    const char *at = find_value(line, key);
    char *end;
    const double value = at ? strtod(at, &end) : NAN;
    return at && end != at ? value : NAN;
}

/* Names and plans hold no quotes. */
static void string_of(const char *line, const char *key, char *out, size_t size)
{
    const char *at = find_value(line, key), *first = at ? strchr(at, '"') : NULL;
    const char *last = first ? strchr(first + 1, '"') : NULL;
    const size_t length = last ? (size_t)(last - first - 1) : 0;
    *out = 0;
    if (length && length < size) {
        memcpy(out, first + 1, length);
        out[length] = 0;
    }
}

static void curve_of(const char *line, struct ablate_run *r)
{
    const char *at = find_value(line, "curve");
    for (at = at ? strchr(at, '[') : NULL; at && *at != ']' && r->epochs < MOST_EPOCHS;) {
        char *end;
        const double value = strtod(at + 1, &end);
        if (end == at + 1)
            break;
        r->curve[r->epochs++] = value;
        at = end;
    }
}

static bool parse(const char *line, struct ablate_run *r)
{
    const size_t length = strlen(line);
    *r = (struct ablate_run){0};
    if (length < 3 || strcmp(line + length - 2, "}\n"))
        return false;
    string_of(line, "ablation", r->name, sizeof r->name);
    string_of(line, "plan", r->plan, sizeof r->plan);
    r->seed = (uint64_t)number_of(line, "seed");
    r->parameters = (int64_t)number_of(line, "parameters");
    r->mmacs = number_of(line, "mmacs");
    r->step_ms = number_of(line, "step_ms");
    r->accuracy = number_of(line, "accuracy");
    r->loss = number_of(line, "loss");
    r->seconds = number_of(line, "seconds");
    r->diverged = isnan(r->accuracy);
    curve_of(line, r);
    return *r->name && *r->plan;
}

bool ablate_read(const char *path, struct ablate_runs *runs, struct error *e)
{
    char line[4096];
    FILE *f = fopen(path, "r");
    *runs = (struct ablate_runs){0};
    if (!f)
        return errno == ENOENT || fail(e, EXIT_BAD_FILE, "%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, f)) {
        struct ablate_run *more = realloc(runs->run, (size_t)(runs->count + 1) * sizeof *more);
        if (!more)
            break;
        runs->run = more;
        if (parse(line, &more[runs->count]))
            runs->count++;
    }
    fclose(f);
    return true;
}

void ablate_runs_free(struct ablate_runs *runs)
{
    free(runs->run);
    *runs = (struct ablate_runs){0};
}

bool ablate_has(const struct ablate_runs *runs, const char *name, uint64_t seed)
{
    for (int i = 0; i < runs->count; i++)
        if (runs->run[i].seed == seed && !strcmp(runs->run[i].name, name))
            return true;
    return false;
}

/* --- writing -------------------------------------------------------------------------- */

/* A number, or null where there is none. */
static void put(FILE *to, const char *key, double value)
{
    if (isfinite(value))
        fprintf(to, ", \"%s\": %.6g", key, value);
    else
        fprintf(to, ", \"%s\": null", key);
}

static void put_run(FILE *to, const struct ablate_run *r)
{
    fprintf(to, "{\"ablation\": \"%s\", \"seed\": %llu, \"plan\": \"%s\", \"parameters\": %lld",
            r->name, (unsigned long long)r->seed, r->plan, (long long)r->parameters);
    put(to, "mmacs", r->mmacs);
    put(to, "step_ms", r->step_ms);
    put(to, "accuracy", r->diverged ? NAN : r->accuracy);
    put(to, "loss", r->loss);
    put(to, "seconds", r->seconds);
    fprintf(to, ", \"curve\": [");
    for (int i = 0; i < r->epochs; i++)
        fprintf(to, "%s%.6g", i ? ", " : "", r->curve[i]);
    fputs("]}\n", to);
}

/* A killed process may have left half a line: what follows starts a new one. */
static bool ends_in_newline(const char *path)
{
    FILE *f = fopen(path, "r");
    bool whole = !f || fseek(f, -1, SEEK_END) != 0 || fgetc(f) == '\n';
    if (f)
        fclose(f);
    return whole;
}

bool ablate_append(const char *path, const struct ablate_run *run, struct error *e)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory) {
        if (!ends_in_newline(path))
            fputc('\n', memory);
        put_run(memory, run);
        fclose(memory);
    }
    FILE *f = text ? fopen(path, "a") : NULL;
    bool ok = f && fwrite(text, 1, size, f) == size;
    ok = f && fclose(f) == 0 && ok;
    free(text);
    return ok || fail(e, EXIT_BAD_FILE, "%s: cannot be written", path);
}

void ablate_curve(struct ablate_run *run, const char *log)
{
    char line[4096];
    for (const char *at = log; at && *at && run->epochs < MOST_EPOCHS;) {
        const size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        if (strstr(line, "\"event\": \"epoch\""))
            run->curve[run->epochs++] = number_of(line, "test_accuracy");
        at += length + (at[length] == '\n');
    }
}
