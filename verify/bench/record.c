/* A recorded run: google-benchmark's JSON as report.c writes it. */
#include "gate.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

struct record {
    cJSON *root;
};

static char *read_text(const char *path, struct error *e)
{
    FILE *f = fopen(path, "rb");
    char *text = f ? malloc(MOST_BYTES + 1) : NULL;
    const size_t size = text ? fread(text, 1, MOST_BYTES, f) : 0;
    if (f)
        fclose(f);
    if (!f)
        fail(e, EXIT_BAD_FILE, "%s: %s", path, strerror(errno));
    else if (text)
        text[size] = 0;
    return text;
}

struct record *record_open(const char *path, struct error *e)
{
    char *text = read_text(path, e);
    struct record *r = text ? calloc(1, sizeof *r) : NULL;
    if (r)
        r->root = cJSON_Parse(text);
    free(text);
    if (r && cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(r->root, "benchmarks")))
        return r;
    record_close(r);
    fail(e, EXIT_BAD_FILE, "%s: no record of `bench --json`: a JSON object with 'benchmarks' was "
                           "expected", path);
    return NULL;
}

void record_close(struct record *r)
{
    if (r)
        cJSON_Delete(r->root);
    free(r);
}

static const char *text_at(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static double number_at(const cJSON *object, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

int record_rounds(const struct record *r, const char *label, double ms[MOST_ROUNDS],
                  double yardstick[YARDSTICKS][MOST_ROUNDS])
{
    const cJSON *entry;
    char key[32];
    int rounds = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(r->root, "benchmarks")) {
        const double time = number_at(entry, "min_time");
        if (strcmp(text_at(entry, "run_name"), label) || rounds == MOST_ROUNDS
            || strcmp(text_at(entry, "run_type"), "iteration") || !(time > 0))
            continue;
        for (int k = 0; k < YARDSTICKS; k++) {
            snprintf(key, sizeof key, "yardstick_%s_min", yardstick_names[k]);
            yardstick[k][rounds] = number_at(entry, key);
        }
        ms[rounds++] = time;
    }
    return rounds;
}

const char *record_context(const struct record *r, const char *key)
{
    const cJSON *context = cJSON_GetObjectItemCaseSensitive(r->root, "context");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(context, key));
}
