/* internimage inspect: what is in a file that someone sent: format, architecture, and for
 * every tensor shape, type, range, NaN and infinities. */
#include "verify/commands.h"
#include "verify/json.h"
#include "verify/options.h"
#include "verify/table.h"

#include "datasets/config_file.h"
#include "datasets/sandbox.h"
#include "datasets/tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 1 << 18 };               /* values in memory at a time */

/* Of the finite values; the NaN and Inf are counted apart. */
struct range {
    double min, max, mean, rms;
    int64_t finite, nan, inf;
};

static void add_piece(struct range *r, double *sum, double *square, const double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) {
            r->nan += isnan(x[i]) != 0;
            r->inf += isinf(x[i]) != 0;
            continue;
        }
        r->min = !r->finite || x[i] < r->min ? x[i] : r->min;
        r->max = !r->finite || x[i] > r->max ? x[i] : r->max;
        *sum += x[i];
        *square += x[i] * x[i];
        r->finite++;
    }
}

static bool measure(struct tensor_file *f, int index, double *piece, struct range *r,
                    struct error *e)
{
    int64_t count = tensors_info(f, index)->count;
    double sum = 0, square = 0;
    *r = (struct range){.min = NAN, .max = NAN, .mean = NAN, .rms = NAN};
    for (int64_t at = 0, n; at < count; at += n) {
        n = count - at < PIECE ? count - at : PIECE;
        if (!tensors_read_f64(f, index, at, n, piece, e))
            return false;
        add_piece(r, &sum, &square, piece, n);
    }
    if (r->finite) {
        r->mean = sum / (double)r->finite;
        r->rms = sqrt(square / (double)r->finite);
    }
    return true;
}

/* --- the file's own words --------------------------------------------------------- */

/* A root attribute: text, a number, or a list of integers. False when there is none, or
 * one of another kind. */
static bool attribute(struct h5_file *h5, const char *name, char *out, size_t size)
{
    int64_t list[64];
    double number;
    int count;
    size_t used = 0;
    if (!h5_has_attr(h5, "", name))
        return false;
    if (h5_attr_string(h5, "", name, out, size, NULL))
        return true;
    if (h5_attr_ints(h5, "", name, list, 64, &count, NULL)) {
        for (int i = 0; i < count && used + 24 < size; i++)
            used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? " " : "",
                                     (long long)list[i]);
        out[used] = 0;
        return true;
    }
    return h5_attr_double(h5, "", name, &number, NULL) && snprintf(out, size, "%.17g", number) > 0;
}

static const char *const attributes[] = {
    "format", "version", "kind", "model", "torch", "seed", "config.channels", "config.depths",
    "config.groups", "config.mlp_ratio", "config.kernel_size", "config.dw_kernel_size",
    "config.offset_scale", "config.layer_scale", "config.post_norm", "config.res_post_norm",
    "config.level2_post_norm", "config.center_feature_scale", "config.remove_center",
    "config.clip_projector", "config.clip_dim", "config.clip_heads", "config.clip_out",
    "config.num_classes",
};

enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

/* --- output ----------------------------------------------------------------------- */

static const char *dims_text(const struct tensor_info *t, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < t->rank; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? "," : "",
                                 (long long)t->dim[i]);
    snprintf(out + used, size - used, "]");
    return out;
}

static void add_row(struct table *table, const struct tensor_info *t, const struct range *r)
{
    char shape[TENSOR_MAX_RANK * 22 + 4];
    dims_text(t, shape, sizeof shape);
    if (r->finite)
        table_row(table, "%s|%s|%s|%.5g|%.5g|%.5g|%.5g|%lld|%lld", t->name, shape,
                  tensor_type_name(t->type), r->min, r->max, r->mean, r->rms, (long long)r->nan,
                  (long long)r->inf);
    else
        table_row(table, "%s|%s|%s|-|-|-|-|%lld|%lld", t->name, shape, tensor_type_name(t->type),
                  (long long)r->nan, (long long)r->inf);
}

static void put_json(struct json *j, const struct tensor_info *t, const struct range *r)
{
    json_open(j, NULL, '{');
    json_string(j, "name", t->name);
    json_string(j, "type", tensor_type_name(t->type));
    json_open(j, "shape", '[');
    for (int i = 0; i < t->rank; i++)
        json_int(j, NULL, t->dim[i]);
    json_close(j, ']');
    json_int(j, "count", t->count);
    json_number(j, "min", r->min);
    json_number(j, "max", r->max);
    json_number(j, "mean", r->mean);
    json_number(j, "rms", r->rms);
    json_int(j, "nan", r->nan);
    json_int(j, "inf", r->inf);
    json_close(j, '}');
}

struct totals { int64_t values, nan, inf; int spoilt; };

static void progress(int done, int count, time_t *last)
{
    time_t now = time(NULL);
    if (now > *last + 1)
        fprintf(stderr, "read %d of %d tensors\n", done, count);
    *last = now > *last + 1 ? now : *last;
}

/* Measures every tensor, into the table or as JSON. */
static bool each_tensor(struct tensor_file *f, struct table *table, struct json *j,
                        struct totals *total, struct error *e)
{
    double *piece = malloc(PIECE * sizeof *piece);
    time_t last = time(NULL);
    bool ok = piece || fail(e, EXIT_USAGE, "out of memory");
    for (int i = 0; ok && i < tensors_count(f); i++) {
        const struct tensor_info *t = tensors_info(f, i);
        struct range r;
        ok = measure(f, i, piece, &r, e);
        if (ok && j)
            put_json(j, t, &r);
        else if (ok)
            add_row(table, t, &r);
        total->values += t->count;
        total->nan += r.nan;
        total->inf += r.inf;
        total->spoilt += r.nan + r.inf > 0;
        progress(i + 1, tensors_count(f), &last);
    }
    free(piece);
    return ok;
}

static bool inspect_text(struct tensor_file *f, const char *path, struct error *e)
{
    struct table table = {0};
    struct totals total = {0};
    char value[1024];
    table_row(&table, "tensor|shape|type|min|max|mean|rms|NaN|Inf");
    bool ok = each_tensor(f, &table, NULL, &total, e);
    if (ok) {
        printf("%s: %s, %d tensors, %lld values\n", path, tensors_format(f), tensors_count(f),
               (long long)total.values);
        for (int i = 0; tensors_h5(f) && i < ATTRIBUTES; i++)
            if (attribute(tensors_h5(f), attributes[i], value, sizeof value))
                printf("  %-28s %s\n", attributes[i], value);
        printf("\n");
        table_print(&table, stdout);
        if (total.spoilt)
            printf("\n%lld NaN and %lld Inf in %d tensors\n", (long long)total.nan,
                   (long long)total.inf, total.spoilt);
    }
    table_free(&table);
    return ok;
}

static bool inspect_json(struct tensor_file *f, const char *path, struct error *e)
{
    struct json j = {.to = stdout, .first = true};
    struct totals total = {0};
    char value[1024];
    json_open(&j, NULL, '{');
    json_string(&j, "file", path);
    json_string(&j, "format", tensors_format(f));
    json_open(&j, "attributes", '{');
    for (int i = 0; tensors_h5(f) && i < ATTRIBUTES; i++)
        if (attribute(tensors_h5(f), attributes[i], value, sizeof value))
            json_string(&j, attributes[i], value);
    json_close(&j, '}');
    json_open(&j, "tensors", '[');
    bool ok = each_tensor(f, NULL, &j, &total, e);
    json_close(&j, ']');
    json_int(&j, "values", total.values);
    json_int(&j, "nan", total.nan);
    json_int(&j, "inf", total.inf);
    json_close(&j, '}');
    return ok;
}

struct request { const char *path; bool json; };

static int inspect(void *context, struct error *e)
{
    const struct request *r = context;
    struct tensor_file *f = tensors_open(r->path, e);
    bool ok = f && (r->json ? inspect_json(f, r->path, e) : inspect_text(f, r->path, e));
    tensors_close(f);
    return ok ? EXIT_MATCH : EXIT_BAD_FILE;
}

int cmd_inspect(int argc, char **argv, struct error *e)
{
    bool json = false, sandbox = false;
    const struct option_spec spec[] = {
        {"--json", NULL, &json, "for a machine"},
        {"--sandbox", NULL, &sandbox, "read in a child process, 4 GiB of memory and 10 minutes"},
        {0},
    };
    int plain = options_parse(argc, argv, spec, "internimage inspect [OPTIONS] FILE\n\n"
                              "What is in an HDF5, npz, npy or safetensors file: shapes, types, ranges,\n"
                              "NaN and Inf.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain != 1) {
        fail(e, EXIT_USAGE, "give one file: HDF5, npz, npy or safetensors");
        return EXIT_USAGE;
    }
    struct request r = {argv[0], json};
    return sandbox ? sandbox_run(inspect, &r, &sandbox_usual, r.path, e) : inspect(&r, e);
}
