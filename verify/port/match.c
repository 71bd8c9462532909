#include "match.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLES = 64 };

static const char *const prefixes[] = {
    "module.", "model.", "backbone.", "_orig_mod.", "float32.", "float64.",
};

static bool strip(char *name, const char *prefix)
{
    size_t length = prefix ? strlen(prefix) : 0;
    if (!length || strncmp(name, prefix, length))
        return false;
    memmove(name, name + length, strlen(name + length) + 1);
    return true;
}

/* One more of the known prefixes off; float64 counts more, so that float32 is preferred. */
static int strip_any(char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strip(name, prefixes[i]))
            return strcmp(prefixes[i], "float64.") ? 1 : 2;
    return 0;
}

int match_name(const char *theirs, const char *prefix, char *name, size_t size)
{
    int steps = 0, step;
    snprintf(name, size, "%s", theirs);
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '.';
    steps += strip(name, prefix);
    while ((step = strip_any(name)))
        steps += step;
    size_t length = strlen(name), end = strlen(".output");
    if (length > end && !strcmp(name + length - end, ".output")) {
        name[length - end] = 0;
        steps++;
    }
    return steps;
}

/* --- shapes ------------------------------------------------------------------------ */

/* Whether row-major positions mean the same in both lists: each running product of one is
 * among those of the other. So [N,H*W,C] is in the order of [N,H,W,C], and so is a flat list. */
static bool same_order(const int64_t *a, int rank_a, const int64_t *b, int rank_b)
{
    int i = 0, k = 0;
    int64_t product_a = 1, product_b = 1;
    bool a_in_b = true, b_in_a = true;
    while (i < rank_a || k < rank_b) {
        if (k == rank_b || (i < rank_a && product_a * a[i] < product_b * b[k])) {
            product_a *= a[i++];
            a_in_b = a_in_b && product_a == product_b;
        } else if (i == rank_a || product_a * a[i] > product_b * b[k]) {
            product_b *= b[k++];
            b_in_a = b_in_a && product_b == product_a;
        } else {
            product_a *= a[i++];
            product_b *= b[k++];
        }
    }
    return product_a == product_b && (a_in_b || b_in_a);
}

bool node_is_nchw(const struct node *n)
{
    return n->op == OP_input || n->op == OP_dcnv2 || n->op == OP_to_nchw;
}

/* The dimensions in the other order; false when there is none, or it is no other. */
static bool other_order(const struct node *n, int64_t other[4])
{
    const int64_t *d = n->shape.dim;
    if (n->shape.rank != 4)
        return false;
    const bool nchw = node_is_nchw(n);
    const int64_t channels = nchw ? d[1] : d[3], pixels = shape_count(&n->shape) / d[0] / channels;
    memcpy(other, nchw ? (int64_t[]){d[0], d[2], d[3], d[1]} : (int64_t[]){d[0], d[3], d[1], d[2]},
           4 * sizeof *other);
    return channels > 1 && pixels > 1;
}

static int without_ones(const int64_t *dim, int rank, int64_t *to)
{
    int kept = 0;
    for (int i = 0; i < rank; i++)
        if (dim[i] != 1)
            to[kept++] = dim[i];
    return kept;
}

struct port_layer match_shape(const struct node *n, const struct tensor_info *t)
{
    int64_t theirs[TENSOR_MAX_RANK], ours[MAX_RANK] = {0}, turned[4] = {0}, other[4];
    struct port_layer l = {.state = PORT_WRONG_SHAPE};
    if (t->count != shape_count(&n->shape)) {
        if (t->rank == 1 && t->count == SAMPLES)
            l.state = PORT_SAMPLED;
        return l;
    }
    const int rank = without_ones(t->dim, t->rank, theirs);
    const int own = without_ones(n->shape.dim, n->shape.rank, ours);
    const bool turns = other_order(n, other);
    const int turned_rank = turns ? without_ones(other, 4, turned) : 0;
    const bool plain = same_order(theirs, rank, ours, own);
    const bool swapped = turns && same_order(theirs, rank, turned, turned_rank);
    if (plain || swapped)
        l.state = PORT_FITS;
    l.permuted = swapped && !plain;
    l.either = swapped && plain;
    return l;
}
