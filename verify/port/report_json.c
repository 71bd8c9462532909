/* The comparison for a machine. */
#include "report.h"

#include "ref/ref.h"
#include "verify/json.h"

static void json_shape(struct json *j, const char *key, const struct shape *s, int64_t at)
{
    int64_t index[MAX_RANK];
    for (int i = s->rank - 1; i >= 0; i--) {
        index[i] = at % s->dim[i];
        at /= s->dim[i];
    }
    json_open(j, key, '[');
    for (int i = 0; i < s->rank; i++)
        json_int(j, NULL, index[i]);
    json_close(j, ']');
}

static void json_error(struct json *j, const char *key, const struct node *n,
                       const struct layer_error *l)
{
    json_open(j, key, '{');
    json_bool(j, "ok", l->pass);
    json_number(j, "rel_rms", l->m.rel_rms);
    json_number(j, "envelope", l->envelope);
    json_number(j, "limit", l->limit);
    json_number(j, "gain", l->gain);
    json_number(j, "gain_limit", l->gain_limit);
    json_number(j, "max_abs", l->m.max_abs);
    json_shape(j, "max_at", &n->shape, l->m.max_at);
    json_number(j, "expected", l->expected);
    json_number(j, "found", l->found);
    json_number(j, "max_rel", l->max_rel);
    json_number(j, "max_ulp", l->m.max_ulp);
    json_number(j, "cosine", l->cosine);
    json_number(j, "violating", l->violating);
    json_int(j, "disagreeing_nonfinite", l->m.bad);
    json_int(j, "nonfinite", l->nonfinite);
    if (l->nonfinite)
        json_shape(j, "nonfinite_at", &n->shape, l->nonfinite_at);
    json_close(j, '}');
}

static void json_layer(struct json *j, const struct report *r, const struct compared *x)
{
    static const char *const state[] = {"absent", "compared", "wrong shape", "sampled"};
    char text[1024];
    json_open(j, NULL, '{');
    json_string(j, "layer", x->node->name);
    json_string(j, "op", ref64_op_row(x->node->op)->name);
    json_string(j, "state", state[x->layer.state]);
    json_number(j, "largest", x->largest);
    if (x->layer.state == PORT_FITS) {
        json_bool(j, "ok", x->pass);
        json_string(j, "tensor", port_tensor(r->port, x->node)->name);
        json_string(j, "layout", x->layer.permuted != node_is_nchw(x->node) ? "NCHW"
                                 : x->node->shape.rank == 4 ? "NHWC" : "flat");
        json_int(j, "span", x->span);
        json_error(j, "entire", x->node, &x->entire);
        json_error(j, "single", x->node, &x->single);
    }
    if (!x->pass && (x->layer.state == PORT_FITS || x->layer.state == PORT_WRONG_SHAPE))
        json_string(j, "sentence", report_sentence(r, x, text, sizeof text));
    json_close(j, '}');
}

void report_json(const struct report *r)
{
    struct json j = {.to = stdout, .first = true};
    const struct comparison *c = r->result;
    const struct port_counts n = port_counts(r->port);
    const struct report_worst w = report_worst(r);
    json_open(&j, NULL, '{');
    json_string(&j, "golden", r->golden);
    json_string(&j, "mine", r->mine);
    json_string(&j, "format", port_format(r->port));
    json_string(&j, "model", port_model(r->port));
    json_string(&j, "dtype", number_name(r->type));
    json_bool(&j, "match", c->failed == 0);
    json_string(&j, "first_divergent", c->first < 0 ? "" : c->item[c->first].node->name);
    json_bool(&j, "first_is_entire", c->first >= 0 && c->first_is_entire);
    json_int(&j, "compared", c->compared);
    json_int(&j, "failed", c->failed);
    json_int(&j, "failed_single", c->failed_single);
    json_int(&j, "absent", n.absent);
    json_int(&j, "unknown", n.unknown);
    json_number(&j, "smallest_envelopes", w.entire);
    json_number(&j, "smallest_atol", w.atol);
    json_number(&j, "smallest_rtol", w.rtol);
    json_int(&j, "float16_overflows", w.overflows);
    json_number(&j, "seconds", r->seconds);
    json_open(&j, "layers", '[');
    for (int i = 0; i < c->count; i++)
        if (c->item[i].node->op != OP_to_nhwc)      /* PyTorch has no such module */
            json_layer(&j, r, &c->item[i]);
    json_close(&j, ']');
    json_close(&j, '}');
}
