#include "report.h"

#include "verify/about.h"
#include "verify/json.h"
#include "verify/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const report_names[REPORT_FORMATS] = {"table", "google", "custom", "bmf"};

struct result *results_add(struct results *list)
{
    if (list->count == list->room) {
        const int room = list->room ? 2 * list->room : 16;
        struct result *item = realloc(list->item, (size_t)room * sizeof *item);
        if (!item)
            return NULL;
        list->item = item;
        list->room = room;
    }
    list->item[list->count] = (struct result){0};
    return &list->item[list->count++];
}

void results_free(struct results *list)
{
    free(list->item);
    *list = (struct results){0};
}

struct timing result_time(const struct result *r)
{
    double median[MOST_ROUNDS], least = r->m.round[0].time.least;
    int repeats = 0;
    for (int i = 0; i < r->m.rounds; i++) {
        median[i] = r->m.round[i].time.median;
        least = r->m.round[i].time.least < least ? r->m.round[i].time.least : least;
        repeats += r->m.round[i].time.repeats;
    }
    return (struct timing){timing_of(median, r->m.rounds).median, least, repeats};
}

/* --- for people ------------------------------------------------------------------------ */

static void report_table(const struct results *list)
{
    struct table t = {0};
    table_row(&t, "model|size|isa|threads|batch|median ms|min ms|GFLOP/s|peak|of peak|over ref|"
                  "arena MB|weights MB");
    for (int i = 0; i < list->count; i++) {
        const struct result *r = &list->item[i];
        const struct timing time = result_time(r);
        const double rate = r->flops / time.median;
        char ref[32] = "", name[96];
        if (r->m.ref_seconds > 0)
            snprintf(ref, sizeof ref, "%.1fx", r->m.ref_seconds / time.median);
        snprintf(name, sizeof name, "%.*s%s%s",
                 (int)(strncmp(r->spec.name, "dcnv2 ", 6) ? strlen(r->spec.name)
                                                          : strcspn(r->spec.name, "/")),
                 r->spec.name, r->spec.work ? " " : "",
                 r->spec.work ? work_name(r->spec.work) : "");
        table_row(&t, "%s|%dx%d|%s|%d|%d|%.3f|%.3f|%.1f|%.1f|%.1f %%|%s|%.1f|%.1f", name,
                  r->height, r->width, r->spec.isa, r->spec.threads, r->spec.batch,
                  1e3 * time.median, 1e3 * time.least, 1e-9 * rate, 1e-9 * r->m.peak,
                  100 * rate / r->m.peak, ref, (double)r->arena / 1e6, (double)r->weights / 1e6);
    }
    table_print(&t, stdout);
    table_free(&t);
}

/* --- google-benchmark ------------------------------------------------------------------- */

static void google_context(struct json *j)
{
    char date[64];
    const time_t now = time(NULL);
    const struct about_item *item = about();
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S+00:00", gmtime(&now));
    json_open(j, "context", '{');
    json_string(j, "date", date);
    json_string(j, "executable", "internimage");
    json_int(j, "num_cpus", atoi(about_text("cpus")));
    json_bool(j, "cpu_scaling_enabled", false);
    json_string(j, "library_build_type", "release");
    json_int(j, "json_schema_version", 1);
    for (int i = 0; i < ABOUT_ITEMS; i++)
        json_string(j, item[i].key, item[i].text);
    json_close(j, '}');
}

/* Their least times, beside the case's "min_time". */
static void google_yardsticks(struct json *j, const struct round *r)
{
    char key[32];
    for (int k = 0; k < YARDSTICKS; k++)
        if (r->yardstick[k] > 0) {
            snprintf(key, sizeof key, "yardstick_%s_min", yardstick_names[k]);
            json_number(j, key, 1e3 * r->yardstick[k]);
        }
}

/* aggregate NULL: the entry of one round. */
static void google_entry(struct json *j, const struct result *r, const char *aggregate,
                         int index, struct timing time)
{
    char name[200];
    snprintf(name, sizeof name, "%s%s%s", r->label, aggregate ? "_" : "",
             aggregate ? aggregate : "");
    json_open(j, NULL, '{');
    json_string(j, "name", name);
    json_int(j, "family_index", 0);
    json_int(j, "per_family_instance_index", 0);
    json_string(j, "run_name", r->label);
    json_string(j, "run_type", aggregate ? "aggregate" : "iteration");
    json_int(j, "repetitions", r->m.rounds);
    if (aggregate) {
        json_string(j, "aggregate_name", aggregate);
        json_string(j, "aggregate_unit", "time");
    } else {
        json_int(j, "repetition_index", index);
    }
    json_int(j, "threads", r->spec.threads);
    json_int(j, "iterations", time.repeats);
    json_number(j, "real_time", 1e3 * time.median);
    json_number(j, "cpu_time", 1e3 * time.median * r->spec.threads);
    json_string(j, "time_unit", "ms");
    if (aggregate && !strcmp(aggregate, "stddev")) {
        json_close(j, '}');
        return;
    }
    json_number(j, "min_time", 1e3 * time.least);
    json_number(j, "flops", r->flops);
    json_number(j, "bytes", r->bytes);
    json_number(j, "flops_per_second", r->flops / time.median);
    json_number(j, "peak_flops_per_second", r->m.peak);
    json_number(j, "share_of_peak", r->flops / time.median / r->m.peak);
    if (!aggregate)
        google_yardsticks(j, &r->m.round[index]);
    json_number(j, "arena_bytes", (double)r->arena);
    json_number(j, "weight_bytes", (double)r->weights);
    json_close(j, '}');
}

static void google_result(struct json *j, const struct result *r)
{
    double mean = 0, variance = 0;
    const int n = r->m.rounds;
    for (int i = 0; i < n; i++) {
        mean += r->m.round[i].time.median / n;
        google_entry(j, r, NULL, i, r->m.round[i].time);
    }
    if (n < 2)
        return;
    struct timing time = result_time(r);
    for (int i = 0; i < n; i++)
        variance += (r->m.round[i].time.median - mean) * (r->m.round[i].time.median - mean) / (n - 1);
    google_entry(j, r, "median", 0, time);
    time.median = mean;
    google_entry(j, r, "mean", 0, time);
    time.median = sqrt(variance);
    google_entry(j, r, "stddev", 0, time);
}

static void report_google(const struct results *list)
{
    struct json j = {.to = stdout, .first = true};
    json_open(&j, NULL, '{');
    google_context(&j);
    json_open(&j, "benchmarks", '[');
    for (int i = 0; i < list->count; i++)
        google_result(&j, &list->item[i]);
    json_close(&j, ']');
    json_close(&j, '}');
}

/* --- the others --------------------------------------------------------------------------- */

/* Least and largest of the rounds' medians. */
static void extent(const struct result *r, double *low, double *high)
{
    *low = *high = r->m.round[0].time.median;
    for (int i = 1; i < r->m.rounds; i++) {
        const double t = r->m.round[i].time.median;
        *low = t < *low ? t : *low;
        *high = t > *high ? t : *high;
    }
}

static void report_custom(const struct results *list)
{
    struct json j = {.to = stdout, .first = true};
    json_open(&j, NULL, '[');
    for (int i = 0; i < list->count; i++) {
        const struct result *r = &list->item[i];
        char range[48], extra[512] = "";
        double low, high;
        extent(r, &low, &high);
        snprintf(range, sizeof range, "± %.4g", 1e3 * (high - low) / 2);
        for (int k = 0; k < ABOUT_ITEMS; k++)
            snprintf(extra + strlen(extra), sizeof extra - strlen(extra), "%s%s: %s",
                     k ? "; " : "", about()[k].key, about()[k].text);
        json_open(&j, NULL, '{');
        json_string(&j, "name", r->label);
        json_string(&j, "unit", "ms");
        json_number(&j, "value", 1e3 * result_time(r).median);
        json_string(&j, "range", range);
        json_string(&j, "extra", extra);
        json_close(&j, '}');
    }
    json_close(&j, ']');
}

static void bmf_measure(struct json *j, const char *name, double value, double low, double high)
{
    json_open(j, name, '{');
    json_number(j, "value", value);
    json_number(j, "lower_value", low);
    json_number(j, "upper_value", high);
    json_close(j, '}');
}

static void report_bmf(const struct results *list)
{
    struct json j = {.to = stdout, .first = true};
    json_open(&j, NULL, '{');
    for (int i = 0; i < list->count; i++) {
        const struct result *r = &list->item[i];
        const double median = result_time(r).median;
        double low, high;
        extent(r, &low, &high);
        json_open(&j, r->label, '{');
        bmf_measure(&j, "latency", 1e9 * median, 1e9 * low, 1e9 * high);
        bmf_measure(&j, "throughput", r->flops / median, r->flops / high, r->flops / low);
        json_close(&j, '}');
    }
    json_close(&j, '}');
}

void report(const struct results *list, enum report_format format)
{
    static void (*const print[REPORT_FORMATS])(const struct results *) = {
        report_table, report_google, report_custom, report_bmf,
    };
    print[format](list);
}
