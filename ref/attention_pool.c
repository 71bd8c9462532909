/* One query per image looks at all T tokens, separately in each head of D/heads
 * channels (the pooling of InternImage-H and G; arXiv 1706.03762, eq. 1):
 *
 *   y = sum_t a_t value_t,   a = softmax_t( query . key_t / sqrt(D / heads) ) */
#include "row.h"

#include <tgmath.h>

/* One head of one image; token t of key and value is t * channels further. The
 * scores are found anew in every pass instead of being kept. */
struct head {
    int tokens, channels, size;         /* size = channels / heads */
    real scale;                         /* 1 / sqrt(size) */
    const real *query, *key, *value;
};

static struct head head_of(int tokens, int channels, int heads, int n, int h, const real *query,
                           const real *key, const real *value)
{
    const int size = channels / heads;
    const size_t image = (size_t)n * tokens * channels, first = (size_t)h * size;
    return (struct head){
        .tokens = tokens, .channels = channels, .size = size, .scale = 1 / sqrt((real)size),
        .query = query + (size_t)n * channels + first, .key = key + image + first,
        .value = value + image + first,
    };
}

static real dot(int count, const real *a, const real *b)
{
    real sum = 0;
    for (int i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static real score(const struct head *h, int t)
{
    return h->scale * dot(h->size, h->query, h->key + (size_t)t * h->channels);
}

/* Largest score, and the sum of exp(score - largest). */
static real normaliser(const struct head *h, real *largest)
{
    real sum = 0;
    *largest = score(h, 0);
    for (int t = 1; t < h->tokens; t++)
        *largest = score(h, t) > *largest ? score(h, t) : *largest;
    for (int t = 0; t < h->tokens; t++)
        sum += exp(score(h, t) - *largest);
    return sum;
}

void REF(attention_pool_forward)(int batch, int tokens, int channels, int heads,
                                 const real *query, const real *key, const real *value,
                                 real *output)
{
    for (int n = 0; n < batch; n++) {
        for (int i = 0; i < heads; i++) {
            struct head h = head_of(tokens, channels, heads, n, i, query, key, value);
            real largest, sum = normaliser(&h, &largest);
            real *y = output + (size_t)n * channels + (size_t)i * h.size;
            for (int c = 0; c < h.size; c++)
                y[c] = 0;
            for (int t = 0; t < tokens; t++) {
                real a = exp(score(&h, t) - largest) / sum;
                for (int c = 0; c < h.size; c++)
                    y[c] += a * h.value[(size_t)t * channels + c];
            }
        }
    }
}

/* With da_t = dL/dy . value_t and ds_t = a_t (da_t - sum_k a_k da_k) / sqrt(size):
 *   dL/dvalue_t = a_t dL/dy,  dL/dquery = sum_t ds_t key_t,  dL/dkey_t = ds_t query */
void REF(attention_pool_backward)(int batch, int tokens, int channels, int heads,
                                  const real *query, const real *key, const real *value,
                                  const real *d_output, real *d_query, real *d_key,
                                  real *d_value)
{
    for (int n = 0; n < batch; n++) {
        for (int i = 0; i < heads; i++) {
            struct head h = head_of(tokens, channels, heads, n, i, query, key, value);
            const size_t q = (size_t)(h.query - query), kv = (size_t)(h.key - key);
            const real *dy = d_output + q;
            real largest, sum = normaliser(&h, &largest), mean = 0;
            for (int t = 0; t < tokens; t++)
                mean += exp(score(&h, t) - largest) / sum
                      * dot(h.size, dy, h.value + (size_t)t * channels);
            for (int t = 0; t < tokens; t++) {
                const size_t token = (size_t)t * channels;
                real a = exp(score(&h, t) - largest) / sum;
                real ds = a * (dot(h.size, dy, h.value + token) - mean) * h.scale;
                for (int c = 0; c < h.size; c++) {
                    if (d_query)
                        d_query[q + c] += ds * h.key[token + c];
                    if (d_key)
                        d_key[kv + token + c] += ds * h.query[c];
                    if (d_value)
                        d_value[kv + token + c] += a * dy[c];
                }
            }
        }
    }
}

/* --- its row in the op table ------------------------------------------------ */

static int tokens_of(const struct node *n)
{
    const struct shape *key = &n->in[1]->shape;
    return (int)(shape_rows(key) / key->dim[0]);
}

static bool infer(struct graph *g, struct node *n)
{
    const struct shape *q = &n->in[0]->shape, *k = &n->in[1]->shape;
    if (!check_rank(g, n, 0, 2) || !check_shape(g, n, 2, k))
        return false;
    if (k->rank < 3 || k->dim[0] != q->dim[0] || shape_last(k) != q->dim[1])
        return refuse(g, n, "key must be [N, T, D] with the query's N and D");
    if (n->attr.heads < 1 || q->dim[1] % n->attr.heads)
        return refuse(g, n, "%lld channels do not divide into %d heads", (long long)q->dim[1],
                      n->attr.heads);
    return infer_same(g, n);
}

static void forward(const struct node *n, const struct REF(op_args) *a, real *output)
{
    REF(attention_pool_forward)((int)n->shape.dim[0], tokens_of(n), (int)n->shape.dim[1],
                                n->attr.heads, a->in[0], a->in[1], a->in[2], output);
}

static void backward(const struct node *n, const struct REF(op_args) *a, const real *d_output)
{
    REF(attention_pool_backward)((int)n->shape.dim[0], tokens_of(n), (int)n->shape.dim[1],
                                 n->attr.heads, a->in[0], a->in[1], a->in[2], d_output,
                                 a->d_in[0], a->d_in[1], a->d_in[2]);
}

static double terms(const struct node *n)
{
    return (double)tokens_of(n) + (double)n->shape.dim[1] / n->attr.heads;
}

const struct REF(op) REF(attention_pool_op) = {
    .name = "attention_pool", .inputs = {"query", "key", "value"}, .infer = infer,
    .forward = forward, .backward = backward, .macs = no_macs, .terms = terms,
};
