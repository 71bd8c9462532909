/* The graphs that can be measured, by name. */
#include "subject.h"

#include "ref/internimage.h"

#include <string.h>

/* Single DCNv2 layers, 3x3, masks on. */
static const struct layer {
    const char *name;
    int channels, size, offset_groups;
} layers[] = {
    {"dcnv2 64->64 og1/128x128", 64, 128, 1}, {"dcnv2 128->128 og1/64x64", 128, 64, 1},
    {"dcnv2 256->256 og1/56x56", 256, 56, 1}, {"dcnv2 256->256 og1/14x14", 256, 14, 1},
    {"dcnv2 512->512 og1/7x7", 512, 7, 1}, {"dcnv2 64->64 og8/128x128", 64, 128, 8},
    {"dcnv2 128->128 og8/64x64", 128, 64, 8}, {"dcnv2 256->256 og8/56x56", 256, 56, 8},
    {"dcnv2 256->256 og8/14x14", 256, 14, 8}, {"dcnv2 512->512 og8/7x7", 512, 7, 8},
};
enum { LAYERS = sizeof layers / sizeof *layers };

/* Single ops. flops: per output value where the graph counts none, fused multiply-adds
 * twice: rational erf and product; mean, variance, scale; exp, sum, division; four
 * corners by nine points; nine taps. */
static const struct single {
    const char *name;
    enum op_kind op;
    int channels, out_channels, groups, kernel, stride;
    double flops;
} singles[] = {
    {"op/linear", OP_linear, 128, 128, 1, 1, 1, 0},
    {"op/conv2d", OP_conv2d, 64, 64, 1, 3, 2, 0},
    {"op/dcnv2", OP_dcnv2, 64, 64, 4, 3, 1, 0},
    {"op/dcnv2_sampling", OP_dcnv2, 64, 8, 4, 3, 1, 0},
    {"op/dcnv3", OP_dcnv3, 128, 128, 8, 3, 1, 72},
    {"op/dwconv2d", OP_dwconv2d, 128, 128, 1, 3, 1, 18},
    {"op/layer_norm", OP_layer_norm, 128, 128, 1, 1, 1, 8},
    {"op/gelu", OP_gelu, 512, 512, 1, 1, 1, 26},
    {"op/softmax", OP_softmax, 72, 72, 8, 1, 1, 19},
};
enum { SINGLES = sizeof singles / sizeof *singles };

const char *subject_names(const char *filter, int index)
{
    if (!strcmp(filter, "dcnv2"))
        return index < LAYERS ? layers[index].name : NULL;
    if (!strcmp(filter, "ops"))
        return index < SINGLES ? singles[index].name : NULL;
    return index == 0 ? filter : NULL;
}

static struct graph *checked(struct graph *g, struct node *last, struct error *e)
{
    if (last)
        return g;
    fail(e, g->error.code, "%s", g->error.text);
    graph_free(g);
    return NULL;
}

static struct graph *dcnv2_graph(int64_t n, int64_t channels, int out_channels, int64_t h,
                                 int64_t w, int groups, struct error *e)
{
    struct graph *g = graph_new();
    struct attr a = attr_default();
    if (!g)
        return NULL;
    a.out_channels = out_channels;
    a.offset_groups = groups;
    a.y = a.x = (struct window){.kernel = 3, .stride = 1, .pad = 1, .dilation = 1};
    struct node *in[] = {
        graph_input(g, "input", shape_of(4, n, channels, h, w)),
        graph_input(g, "offset", shape_of(4, n, (int64_t)groups * 18, h, w)),
        graph_input(g, "mask", shape_of(4, n, (int64_t)groups * 9, h, w)),
    };
    return checked(g, graph_add(g, OP_dcnv2, "dcnv2", a, in, 3), e);
}

static struct graph *single_graph(const struct single *s, int64_t n, int64_t h, int64_t w,
                                  struct error *e)
{
    if (s->op == OP_dcnv2)
        return dcnv2_graph(n, s->channels, s->out_channels, h, w, s->groups, e);
    struct graph *g = graph_new();
    struct attr a = attr_default();
    int inputs = 1;
    if (!g)
        return NULL;
    a.out_channels = s->out_channels;
    a.points = 9;
    a.groups = s->op == OP_dcnv3 ? s->groups : 1;
    a.y = a.x = (struct window){.kernel = s->kernel, .stride = s->stride,
                                .pad = s->kernel / 2, .dilation = 1};
    struct node *in[3] = {graph_input(g, "input", shape_of(4, n, h, w, (int64_t)s->channels))};
    if (s->op == OP_dcnv3) {
        in[inputs++] = graph_input(g, "offset", shape_of(4, n, h, w, (int64_t)s->groups * 18));
        in[inputs++] = graph_input(g, "mask", shape_of(4, n, h, w, (int64_t)s->groups * 9));
    }
    return checked(g, graph_add(g, s->op, s->name, a, in, inputs), e);
}

static struct graph *named_graph(const char *name, int batch, int *height, int *width,
                                 double *per_value, struct error *e)
{
    struct internimage_config c;
    for (int i = 0; i < LAYERS; i++)
        if (!strcmp(layers[i].name, name)) {
            *height = *width = layers[i].size;
            return dcnv2_graph(batch, layers[i].channels, layers[i].channels, *height, *width,
                               layers[i].offset_groups, e);
        }
    for (int i = 0; i < SINGLES; i++)
        if (!strcmp(singles[i].name, name)) {
            *per_value = singles[i].flops;
            return single_graph(&singles[i], batch, *height, *width, e);
        }
    return internimage_named(name, &c, e) ? internimage_graph(&c, batch, *height, *width, e)
                                          : NULL;
}

struct graph *subject_graph(const char *name, int batch, int *height, int *width, double *flops,
                            struct error *e)
{
    double per_value = 0;
    struct graph *g = named_graph(name, batch, height, width, &per_value, e);
    if (!g)
        return NULL;
    const double values = (double)shape_count(&g->node[g->nodes - 1]->shape);
    *flops = per_value > 0 ? per_value * values : 2 * graph_macs(g);
    return g;
}
