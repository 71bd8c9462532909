/* The checks that infer functions share. */
#include "check.h"
#include "ref.h"

bool check_rank(struct graph *g, const struct node *n, int input, int rank)
{
    char text[64];
    const struct shape *s = &n->in[input]->shape;
    if (s->rank == rank)
        return true;
    return refuse(g, n, "%s must have %d dimensions, is %s", ref64_op_row(n->op)->inputs[input],
                  rank, shape_text(s, text, sizeof text));
}

bool check_shape(struct graph *g, const struct node *n, int input, const struct shape *expected)
{
    char want[64], have[64];
    const struct shape *s = &n->in[input]->shape;
    if (shape_equal(s, expected))
        return true;
    return refuse(g, n, "%s must be %s, is %s", ref64_op_row(n->op)->inputs[input],
                  shape_text(expected, want, sizeof want), shape_text(s, have, sizeof have));
}

static bool window_is_sane(struct window w)
{
    const int most = 1 << 14;           /* products of two stay inside an int */
    return w.kernel >= 1 && w.stride >= 1 && w.dilation >= 1 && w.pad >= 0 && w.kernel < most
        && w.stride < most && w.dilation < most && w.pad < most;
}

bool check_window(struct graph *g, const struct node *n)
{
    struct window y = n->attr.y, x = n->attr.x;
    if (window_is_sane(y) && window_is_sane(x))
        return true;
    return refuse(g, n, "kernel %dx%d stride %dx%d pad %dx%d dilation %dx%d makes no window",
                  y.kernel, x.kernel, y.stride, x.stride, y.pad, x.pad, y.dilation, x.dilation);
}

bool check_positions(struct graph *g, const struct node *n, int out_height, int out_width)
{
    if (out_height > 0 && out_width > 0)
        return true;
    return refuse(g, n, "the window is larger than the padded input");
}

bool check_groups(struct graph *g, const struct node *n, int64_t channels)
{
    if (n->attr.groups >= 1 && channels % n->attr.groups == 0)
        return true;
    return refuse(g, n, "%lld channels do not divide into %d groups", (long long)channels,
                  n->attr.groups);
}

bool infer_same(struct graph *g, struct node *n)
{
    (void)g;
    n->shape = n->in[0]->shape;
    return true;
}

double no_macs(const struct node *n)
{
    (void)n;
    return 0;
}

double one_term(const struct node *n)
{
    (void)n;
    return 1;
}
