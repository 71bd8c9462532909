/* internimage diagnose: which mistake does a port make? */
#include "verify/commands.h"
#include "verify/options.h"
#include "verify/progress.h"

#include "block_replay.h"
#include "compare.h"
#include "diagnosis.h"
#include "image_replay.h"
#include "op_file.h"
#include "span_replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct diagnose_arguments {
    const char *map, *prefix, *type, *layer;
    bool json, verbose;
    struct op_options op;
    enum number number;
};

static int report(const struct diagnosis *d, const struct diagnose_arguments *a)
{
    progress_end();
    if (a->json)
        diagnosis_json(d);
    else
        diagnosis_print(d, a->verbose);
    return diagnosis_code(d);
}

/* Whether the right values exceed what the type can hold. */
static bool overflows(const struct node *n, const double *right, enum number type)
{
    for (int64_t i = 0; i < shape_count(&n->shape); i++)
        if (fabs(right[i]) > number_largest(type))
            return true;
    return false;
}

/* --- one op ------------------------------------------------------------------------------ */

static int diagnose_op(const char *path, const struct diagnose_arguments *a, struct error *e)
{
    struct op_file f;
    struct diagnosis d = {.type = number_name(a->number)};
    if (!op_file_read(path, &a->op, a->number, &f, e))
        return (int)e->code;
    const int64_t count = shape_count(&f.node->shape);
    const double *right = f.r64->value[f.node->id];
    const float *honest = f.r32->value[f.node->id];
    struct layer_error own = layer_error_of(count, f.output, right, honest, a->number);
    layer_error_judge_gain(&own, &f.node->shape, right, honest, a->number);
    d.limit = own.pass ? own.limit : own.replay_limit;
    struct ref64_op_args args = ref64_run_args(f.r64, f.node);
    struct replay_case c = {f.node, &args, f.output, d.limit};
    snprintf(d.layer, sizeof d.layer, "%.*s", (int)sizeof d.layer - 1, path);
    d.node = f.node;
    d.overflow = overflows(f.node, right, a->number);
    int code = replay_run(&c, &d.replay, e) ? report(&d, a) : (int)e->code;
    replay_free(&d.replay);
    op_file_free(&f);
    return code;
}

/* --- a model ----------------------------------------------------------------------------- */

/* Parameters of a node as double. */
static bool params_of(struct port *p, const struct node *n, double **param, struct error *e)
{
    for (int i = 0; i < n->params; i++) {
        const int64_t count = shape_count(&port_graph(p)->param[n->param[i]].shape);
        const float *from = port_param(p, n->param[i]);
        param[i] = malloc((size_t)count * sizeof **param);
        if (!param[i])
            return fail(e, EXIT_USAGE, "out of memory for the parameters of %s", n->name);
        for (int64_t k = 0; k < count; k++)
            param[i][k] = from[k];
    }
    return true;
}

/* Replays layer n from the port's own inputs. */
static bool diagnose_layer(struct port *p, const struct compared *x, struct diagnosis *d,
                           const struct diagnose_arguments *a, struct error *e)
{
    const struct node *n = x->node;
    struct port_inputs in = {0};
    struct ref64_op_args args = {0};
    double *param[MAX_PARAMS] = {0};
    double *mine = port_read(p, n, NULL, e);
    bool ok = mine && port_inputs_of(p, n, &in, e) && params_of(p, n, param, e);
    for (int i = 0; i < MAX_INPUTS; i++)
        args.in[i] = in.in[i];
    for (int i = 0; i < MAX_PARAMS; i++)
        args.param[i] = param[i];
    snprintf(d->layer, sizeof d->layer, "%s", n->name);
    d->node = n;
    d->type = number_name(a->number);
    d->limit = x->single.pass ? x->single.limit : x->single.replay_limit;
    d->overflow = x->largest > number_largest(a->number);
    /* Over a whole block more rounding may add up; the other way is off by 0.1 and more. */
    const double block_limit = fmax(8 * d->limit, fmin(LOOSE * d->limit, 1e-2));
    struct replay_case c = {n, &args, mine, d->limit};
    ok = ok && (n->op == OP_input ? image_replay(p, mine, d->limit, &d->replay, e)
                                  : replay_run(&c, &d->replay, e));
    if (ok && d->replay.verdict == VERDICT_UNKNOWN && !d->replay.pattern.bad) {
        ok = block_replay(p, n, block_limit, &d->block, &d->block_error, e);
        if (ok && !d->block && x->span > 1)
            ok = span_replay(p, n, mine, d->limit, &d->replay, e);
    }
    for (int i = 0; i < MAX_PARAMS; i++)
        free(param[i]);
    port_inputs_free(&in);
    free(mine);
    return ok;
}

/* The layer to look at: the one asked for, or the first wrong one; NULL with a message or an
 * error when there is none. */
static const struct compared *choose(const struct port *p, const struct comparison *c,
                                     const struct diagnose_arguments *a, struct error *e)
{
    const struct node *asked = a->layer ? graph_find(port_graph(p), a->layer) : NULL;
    if (!asked && c->first < 0)
        return NULL;
    const struct compared *x = &c->item[asked ? asked->id : c->first];
    if (x->layer.state == PORT_FITS)
        return x;
    fail(e, EXIT_INCONCLUSIVE, x->layer.state == PORT_WRONG_SHAPE
         ? "%s has another shape than it should; internimage compare shows both"
         : "the port's file does not hold all of %s", x->node->name);
    return NULL;
}

/* Wrong by far more than rounding. */
static bool is_gross(const struct compared *x)
{
    return x->layer.state == PORT_FITS && !x->single.pass
        && !(x->single.m.rel_rms <= LOOSE * x->single.limit);
}

/* The next such layer behind `x`; NULL: none. */
static const struct compared *next_gross(const struct comparison *c, const struct compared *x)
{
    for (int i = x->node->id + 1; i < c->count; i++)
        if (is_gross(&c->item[i]))
            return &c->item[i];
    return NULL;
}

/* Nothing behind this layer is looked at. */
static bool seen_enough(const void *layer, const struct compared *x)
{
    return layer ? !strcmp(x->node->name, layer)
                 : is_gross(x) || x->layer.state == PORT_WRONG_SHAPE;
}

/* Diagnoses the first wrong layer; when that only seems to round too much, the first that is
 * grossly wrong instead. */
static int diagnose_wrong(struct port *p, const struct comparison *c, const struct compared *x,
                          const struct diagnose_arguments *a, struct error *e)
{
    struct diagnosis d = {0};
    const struct compared *lossy = NULL;
    char names[512];
    bool ok = diagnose_layer(p, x, &d, a, e);
    if (ok && diagnosis_code(&d) == EXIT_INCONCLUSIVE && d.replay.error <= LOOSE * d.limit
        && !a->layer && next_gross(c, x)) {
        lossy = x;
        x = next_gross(c, x);
        replay_free(&d.replay);
        d = (struct diagnosis){0};
        ok = diagnose_layer(p, x, &d, a, e);
    }
    int code = ok ? report(&d, a) : (int)e->code;
    if (ok && !a->json && lossy)
        printf("note: layers before this one round more than they should, the first is %s (%.2g)\n",
               lossy->node->name, lossy->single.m.rel_rms);
    if (ok && !a->json && x->span > 1)
        printf("note: MINE lacks %s: %d layers are judged together\n",
               span_text(p, x->node, names, sizeof names), x->span);
    replay_free(&d.replay);
    return code;
}

static int report_no_layer(const struct comparison *c, const struct diagnose_arguments *a)
{
    progress_end();
    if (a->json)
        printf("{\"verdict\": \"%s\", \"layers\": %d}\n", c->first < 0 ? "right" : "unknown",
               c->compared);
    else if (c->first < 0)
        printf("all %d layers are right within %s rounding\n", c->compared, number_name(a->number));
    else
        printf("each of %d layers is right on its own inputs; as run, %s and others are off: "
               "rounding that adds up\nnext: internimage compare, column entire\n", c->compared,
               c->item[c->first].node->name);
    return c->first < 0 ? EXIT_MATCH : EXIT_INCONCLUSIVE;
}

static int diagnose_model(const char *golden, const char *mine,
                          const struct diagnose_arguments *a, struct error *e)
{
    struct comparison c = {0};
    const struct compare_options o = {.type = a->number, .progress = progress,
                                      .enough = seen_enough, .context = a->layer};
    struct port *p = port_open(golden, mine,
                               (struct port_options){.map = a->map, .prefix = a->prefix}, e);
    int code = EXIT_USAGE;
    const bool known = p && (!a->layer || graph_find(port_graph(p), a->layer));
    if (p && !known)
        fail(e, EXIT_USAGE, "the model has no layer '%s'", a->layer);
    if (!known || !compare_run(p, o, &c, e)) {
        port_close(p);
        return (int)e->code;
    }
    const struct compared *x = !a->layer && c.first_is_entire ? NULL : choose(p, &c, a, e);
    if (x)
        code = diagnose_wrong(p, &c, x, a, e);
    else if (!e->text[0])
        code = report_no_layer(&c, a);
    compare_free(&c);
    port_close(p);
    return e->text[0] ? (int)e->code : code;
}

int cmd_diagnose(int argc, char **argv, struct error *e)
{
    struct diagnose_arguments a = {0};
    const struct option_spec spec[] = {
        {"--dtype", &a.type, NULL, "what the port computes in: fp32 (default), fp16, bf16"},
        {"--json", NULL, &a.json, "machine-readable"},
        {"--verbose", NULL, &a.verbose, "also which mistakes this case could not show"},
        {"--layer", &a.layer, NULL, "with GOLDEN: this layer instead of the first wrong one"},
        {"--map", &a.map, NULL, "with GOLDEN: file of lines 'graph_name = their_name'"},
        {"--prefix", &a.prefix, NULL, "with GOLDEN: strip VALUE from the names in MINE"},
        {"--op", &a.op.op, NULL, "with FILE: dcnv3, dcnv2, conv2d, linear, layer_norm ..."},
        {"--kernel", &a.op.kernel, NULL, "with FILE: 3, or 3,5 (vertical, horizontal)"},
        {"--stride", &a.op.stride, NULL, "likewise (1)"},
        {"--pad", &a.op.pad, NULL, "likewise (0)"},
        {"--dilation", &a.op.dilation, NULL, "likewise (1)"},
        {"--groups", &a.op.groups, NULL, "with FILE: DCNv3's groups; of the weight otherwise"},
        {"--offset-groups", &a.op.offset_groups, NULL, "with FILE: DCNv2's"},
        {"--offset-scale", &a.op.offset_scale, NULL, "with FILE: DCNv3's (1)"},
        {"--remove-center", &a.op.remove_center, NULL, "with FILE: 0 or 1"},
        {"--eps", &a.op.eps, NULL, "with FILE: of a norm (1e-6)"},
        {"--points", &a.op.points, NULL, "with FILE: of a softmax"},
        {"--factor", &a.op.factor, NULL, "with FILE: of a pixel shuffle"},
        {"--heads", &a.op.heads, NULL, "with FILE: of an attention pooling"},
        {0},
    };
    int plain = options_parse(argc, argv, spec,
                              "internimage diagnose FILE [OPTIONS]\n"
                              "       internimage diagnose GOLDEN MINE [OPTIONS]\n\n"
                              "FILE: input, offset, mask, weight, bias and output of one op. GOLDEN: a\n"
                              "golden file of a model; MINE: the port's activations, named by PyTorch path.\n"
                              "HDF5, npz or safetensors; see docs/diagnose.md.", e);
    if (plain < 0)
        return plain == -2 ? EXIT_MATCH : EXIT_USAGE;
    if (plain < 1 || plain > 2) {
        fail(e, EXIT_USAGE, "give FILE, or GOLDEN and MINE");
        return EXIT_USAGE;
    }
    if (a.type && !number_find(a.type, &a.number)) {
        fail(e, EXIT_USAGE, "--dtype is fp32, fp16 or bf16, not '%s'", a.type);
        return EXIT_USAGE;
    }
    return plain == 1 ? diagnose_op(argv[0], &a, e) : diagnose_model(argv[0], argv[1], &a, e);
}
