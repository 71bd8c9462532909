/* What `bench` writes has the shape that its readers expect, and bench reads its own. Times
 * are not judged here. */
#include "ref/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE "bench --filter op/gelu --size 5x5 --batch 1 --threads 1 --isa generic --seconds 0 "
#define LABEL "op/gelu/5x5/batch:1/threads:1/isa:generic"

static char record[] = "/tmp/test_bench.XXXXXX";
static char output[1 << 16];

/* Runs `internimage ARGUMENTS`; keeps what it prints. */
static int command(const char *arguments)
{
    char line[1024];
    const char *program = getenv("INTERNIMAGE");
    snprintf(line, sizeof line, "%s %s 2>/dev/null </dev/null",
             program ? program : "build/internimage", arguments);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    output[fread(output, 1, sizeof output - 1, f)] = 0;
    const int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static cJSON *json_of(const char *arguments)
{
    assert_int_equal(command(arguments), EXIT_MATCH);
    cJSON *root = cJSON_Parse(output);
    assert_non_null(root);
    return root;
}

static const char *text_in(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    if (!text)
        fail_msg("no text '%s'", key);
    return text;
}

static double number_in(const cJSON *object, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(n))
        fail_msg("no number '%s'", key);
    return n->valuedouble;
}

/* What google-benchmark's report.py asks of an entry. */
static void is_entry(const cJSON *entry, const char *name, const char *type, const char *aggregate)
{
    assert_string_equal(text_in(entry, "name"), name);
    assert_string_equal(text_in(entry, "run_name"), LABEL);
    assert_string_equal(text_in(entry, "run_type"), type);
    assert_string_equal(text_in(entry, "time_unit"), "ms");
    assert_true(number_in(entry, "real_time") >= 0 && number_in(entry, "cpu_time") >= 0);
    assert_true(number_in(entry, "repetitions") == 3);
    if (aggregate) {
        assert_string_equal(text_in(entry, "aggregate_name"), aggregate);
        return;
    }
    assert_true(number_in(entry, "min_time") <= number_in(entry, "real_time"));
    assert_true(number_in(entry, "yardstick_fma_min") > 0);
    assert_true(number_in(entry, "yardstick_ref_min") > 0);
}

static void google(void **state)
{
    (void)state;
    cJSON *root = json_of(CASE "--rounds 3 --format google");
    const cJSON *context = cJSON_GetObjectItemCaseSensitive(root, "context"),
                *list = cJSON_GetObjectItemCaseSensitive(root, "benchmarks");
    for (const char *const *key = (const char *const[]){"date", "executable", "commit", "compiler",
                                                        "flags", "cpu", "isa", NULL}; *key; key++)
        assert_true(*text_in(context, *key));
    assert_true(number_in(context, "num_cpus") >= 1);
    assert_int_equal(cJSON_GetArraySize(list), 6);
    for (int i = 0; i < 3; i++)
        is_entry(cJSON_GetArrayItem(list, i), LABEL, "iteration", NULL);
    is_entry(cJSON_GetArrayItem(list, 3), LABEL "_median", "aggregate", "median");
    is_entry(cJSON_GetArrayItem(list, 4), LABEL "_mean", "aggregate", "mean");
    is_entry(cJSON_GetArrayItem(list, 5), LABEL "_stddev", "aggregate", "stddev");
    cJSON_Delete(root);
}

static void custom_smaller_is_better(void **state)
{
    (void)state;
    cJSON *root = json_of(CASE "--format custom");
    assert_true(cJSON_IsArray(root) && cJSON_GetArraySize(root) == 1);
    const cJSON *entry = cJSON_GetArrayItem(root, 0);
    assert_string_equal(text_in(entry, "name"), LABEL);
    assert_string_equal(text_in(entry, "unit"), "ms");
    assert_true(number_in(entry, "value") > 0);
    assert_true(*text_in(entry, "range") && strstr(text_in(entry, "extra"), "commit: "));
    cJSON_Delete(root);
}

static void bencher_metric_format(void **state)
{
    (void)state;
    cJSON *root = json_of(CASE "--rounds 3 --format bmf");
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(root, LABEL);
    assert_int_equal(cJSON_GetArraySize(root), 1);
    for (int i = 0; i < 2; i++) {
        const cJSON *m = cJSON_GetObjectItemCaseSensitive(entry, i ? "throughput" : "latency");
        assert_true(number_in(m, "lower_value") <= number_in(m, "value")
                    && number_in(m, "value") <= number_in(m, "upper_value"));
    }
    cJSON_Delete(root);
}

static void write_record(const char *text)
{
    FILE *f = fopen(record, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

/* One edit of the record made from it. */
static void edited(const char *from, const char *to)
{
    char copy[sizeof output];
    const char *at = strstr(output, from);
    assert_non_null(at);
    snprintf(copy, sizeof copy, "%.*s%s%s", (int)(at - output), output, to, at + strlen(from));
    write_record(copy);
}

static void records(void **state)
{
    char against[256];
    (void)state;
    snprintf(against, sizeof against, CASE "--rounds 3 --json --against %s", record);
    cJSON_Delete(json_of(CASE "--rounds 3 --json"));
    char *good = strdup(output);
    write_record(good);
    const int code = command(against);  /* three rounds of nothing: anything but an error */
    assert_true(code == EXIT_MATCH || code == EXIT_INCONCLUSIVE || code == EXIT_MISMATCH);
    cJSON *root = cJSON_Parse(output);
    const cJSON *gate = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "gates"), 0);
    assert_string_equal(text_in(gate, "name"), LABEL);
    assert_true(number_in(gate, "low") <= number_in(gate, "ratio")
                && number_in(gate, "ratio") <= number_in(gate, "high"));
    cJSON_Delete(root);
    strcpy(output, good);
    edited("\"cpu\": \"", "\"cpu\": \"another ");
    assert_int_equal(command(against), EXIT_INCONCLUSIVE);
    strcpy(output, good);
    edited("\"benchmarks\"", "\"other\"");
    assert_int_equal(command(against), EXIT_BAD_FILE);
    cJSON_Delete(json_of("bench --filter op/softmax --size 5x5 --batch 1 --threads 1 --isa generic "
                         "--seconds 0 --json"));
    write_record(output);               /* neither the case nor rounds */
    assert_int_equal(command(against), EXIT_INCONCLUSIVE);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(google),
        cmocka_unit_test(custom_smaller_is_better),
        cmocka_unit_test(bencher_metric_format),
        cmocka_unit_test(records),
    };
    close(mkstemp(record));
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(record);
    return failed;
}
