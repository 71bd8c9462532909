#include "onednn.h"

#include <stddef.h>

#ifdef HAVE_ONEDNN

#include <dnnl.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIMS = 4 };

/* --- what differs between oneDNN 2.x and 3.x ---------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t desc;        /* a handle */
typedef const_dnnl_memory_desc_t const_desc;

static dnnl_status_t desc_tagged(desc *d, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(d, rank, dims, dnnl_f32, tag);
}

static void desc_free(desc *d)
{
    if (*d)
        dnnl_memory_desc_destroy(*d);
}

static const_desc desc_of(const desc *d)
{
    return *d;
}

static dnnl_status_t append_gelu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_gelu_erf, 0, 0);
}

static dnnl_status_t new_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const desc *d,
                                bool bias, const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, d[0], d[1], bias ? d[2] : NULL, d[3],
                                             attr);
}

static dnnl_status_t new_convolution(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                     const desc *d, const dnnl_dims_t strides,
                                     const dnnl_dims_t dilates, const dnnl_dims_t pads,
                                     const dnnl_dims_t pads_end,
                                     const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_forward_primitive_desc_create(
        pd, engine, dnnl_forward_inference, dnnl_convolution_direct, d[0], d[1], d[2], d[3],
        strides, dilates, pads, pads_end, attr);
}

#else

typedef dnnl_memory_desc_t desc;        /* a struct */
typedef const dnnl_memory_desc_t *const_desc;

static dnnl_status_t desc_tagged(desc *d, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(d, rank, dims, dnnl_f32, tag);
}

static void desc_free(desc *d)
{
    (void)d;
}

static const_desc desc_of(const desc *d)
{
    return d;
}

static dnnl_status_t append_gelu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_gelu_erf, 0, 0);
}

static dnnl_status_t new_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const desc *d,
                                bool bias, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t op;
    dnnl_status_t s = dnnl_matmul_desc_init(&op, &d[0], &d[1], bias ? &d[2] : NULL, &d[3]);
    return s ? s : dnnl_primitive_desc_create(pd, &op, attr, engine, NULL);
}

static dnnl_status_t new_convolution(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                     const desc *d, const dnnl_dims_t strides,
                                     const dnnl_dims_t dilates, const dnnl_dims_t pads,
                                     const dnnl_dims_t pads_end,
                                     const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(
        &op, dnnl_forward_inference, dnnl_convolution_direct, &d[0], &d[1], &d[2], &d[3], strides,
        dilates, pads, pads_end);
    return s ? s : dnnl_primitive_desc_create(pd, &op, attr, engine, NULL);
}

#endif

/* --- one engine for the process ------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static const char *first_isa;

static void start(void)
{
    if (first_isa && !strcmp(first_isa, "avx2"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    else if (first_isa && !strcmp(first_isa, "generic"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    dnnl_engine_create(&engine, dnnl_cpu, 0);
}

/* --- primitives ----------------------------------------------------------------------- */

enum { SOURCE, WEIGHTS, BIAS, DESTINATION, RESIDUAL, MEMORIES };

struct onednn {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_memory_t memory[MEMORIES];
};

void onednn_free(struct onednn *o)
{
    if (!o)
        return;
    for (int i = 0; i < MEMORIES; i++)
        if (o->memory[i])
            dnnl_memory_destroy(o->memory[i]);
    if (o->primitive)
        dnnl_primitive_destroy(o->primitive);
    if (o->stream)
        dnnl_stream_destroy(o->stream);
    free(o);
}

/* `from` in the given layout to the layout the primitive asked for. */
static dnnl_status_t reorder(struct onednn *o, const desc *given, const float *from,
                             const_dnnl_primitive_desc_t pd)
{
    dnnl_memory_t user = NULL;
    dnnl_primitive_desc_t move = NULL;
    dnnl_primitive_t primitive = NULL;
    const_desc wanted = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_status_t s = dnnl_memory_create(&user, desc_of(given), engine, (void *)(uintptr_t)from);
    if (!s)
        s = dnnl_memory_create(&o->memory[WEIGHTS], wanted, engine, DNNL_MEMORY_ALLOCATE);
    if (!s)
        s = dnnl_reorder_primitive_desc_create(&move, desc_of(given), engine, wanted, engine, NULL);
    if (!s)
        s = dnnl_primitive_create(&primitive, move);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, user}, {DNNL_ARG_TO, o->memory[WEIGHTS]}};
    if (!s)
        s = dnnl_primitive_execute(primitive, o->stream, 2, args);
    if (!s)
        s = dnnl_stream_wait(o->stream);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (move)
        dnnl_primitive_desc_destroy(move);
    if (user)
        dnnl_memory_destroy(user);
    return s;
}

/* What both kinds share: d describes source, weights (any), bias, destination; `given`
 * the weights as they come. */
static dnnl_status_t finish(struct onednn *o, dnnl_primitive_desc_t pd, const desc *d,
                            const desc *given, const float *weight, const float *bias,
                            bool residual)
{
    dnnl_status_t s = dnnl_primitive_create(&o->primitive, pd);
    if (!s)
        s = dnnl_stream_create(&o->stream, engine, dnnl_stream_default_flags);
    if (!s)
        s = reorder(o, given, weight, pd);
    if (!s && bias)
        s = dnnl_memory_create(&o->memory[BIAS], desc_of(&d[BIAS]), engine, DNNL_MEMORY_ALLOCATE);
    if (!s && bias) {
        void *to = NULL;
        s = dnnl_memory_get_data_handle(o->memory[BIAS], &to);
        if (!s)
            memcpy(to, bias, dnnl_memory_desc_get_size(desc_of(&d[BIAS])));
    }
    if (!s)
        s = dnnl_memory_create(&o->memory[SOURCE], desc_of(&d[SOURCE]), engine, DNNL_MEMORY_NONE);
    if (!s)
        s = dnnl_memory_create(&o->memory[DESTINATION], desc_of(&d[DESTINATION]), engine,
                               DNNL_MEMORY_NONE);
    if (!s && residual)
        s = dnnl_memory_create(&o->memory[RESIDUAL], desc_of(&d[DESTINATION]), engine,
                               DNNL_MEMORY_NONE);
    return s;
}

static dnnl_status_t epilogue(dnnl_primitive_attr_t attr, const desc *destination, bool gelu,
                              bool residual)
{
    dnnl_post_ops_t ops;
    dnnl_status_t s = dnnl_post_ops_create(&ops);
    if (s)
        return s;
    if (gelu)
        s = append_gelu(ops);
    if (!s && residual)
        s = dnnl_post_ops_append_binary(ops, dnnl_binary_add, desc_of(destination));
    if (!s)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return s;
}

struct conv_window {
    dnnl_dims_t strides, dilates, pads, pads_end;
};

/* given: the plain layout of the weights; w NULL: a product. */
static struct onednn *create(desc d[4], const desc *given, const struct conv_window *w,
                             const float *weight, const float *bias, bool gelu, bool residual,
                             int threads, struct error *e)
{
    struct onednn *o = calloc(1, sizeof *o);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);       /* primitives are cut for the threads they see here */
    dnnl_status_t s = o ? dnnl_primitive_attr_create(&attr) : dnnl_out_of_memory;
    if (!s)
        s = epilogue(attr, &d[DESTINATION], gelu, residual);
    if (!s)
        s = w ? new_convolution(&pd, engine, d, w->strides, w->dilates, w->pads, w->pads_end, attr)
              : new_matmul(&pd, engine, d, bias != NULL, attr);
    if (!s)
        s = finish(o, pd, d, given, weight, bias, residual);
    omp_set_num_threads(before);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (!s)
        return o;
    onednn_free(o);
    fail(e, EXIT_NOT_BUILT, "oneDNN %s has no primitive for this shape (status %d)",
         onednn_version(), (int)s);
    return NULL;
}

struct onednn *onednn_product(int64_t m, int n, int k, const float *weight, const float *bias,
                              bool gelu, bool residual, int threads, const char *isa,
                              struct error *e)
{
    first_isa = first_isa ? first_isa : isa;
    pthread_once(&once, start);
    desc d[4] = {0}, given = {0};
    const dnnl_dims_t a = {m, k}, b = {k, n}, one = {1, n}, c = {m, n};
    dnnl_status_t s = desc_tagged(&d[SOURCE], 2, a, dnnl_ab);
    s = s ? s : desc_tagged(&d[WEIGHTS], 2, b, dnnl_format_tag_any);
    s = s ? s : desc_tagged(&d[BIAS], 2, one, dnnl_ab);
    s = s ? s : desc_tagged(&d[DESTINATION], 2, c, dnnl_ab);
    s = s ? s : desc_tagged(&given, 2, b, dnnl_ba);     /* PyTorch stores [n, k] */
    struct onednn *o = NULL;
    if (s)
        fail(e, EXIT_NOT_BUILT, "oneDNN refuses a product of %lld x %d x %d", (long long)m, n, k);
    else
        o = create(d, &given, NULL, weight, bias, gelu, residual, threads, e);
    for (int i = 0; i < 4; i++)
        desc_free(&d[i]);
    desc_free(&given);
    return o;
}

struct onednn *onednn_convolution(const int64_t in[4], int out_channels, struct window y,
                                  struct window x, const float *weight, const float *bias,
                                  bool gelu, int threads, const char *isa, struct error *e)
{
    first_isa = first_isa ? first_isa : isa;
    pthread_once(&once, start);
    desc d[4] = {0}, given = {0};
    const int height = window_positions((int)in[1], y), width = window_positions((int)in[2], x);
    const dnnl_dims_t source = {in[0], in[3], in[1], in[2]}, channels = {out_channels};
    const dnnl_dims_t weights = {out_channels, in[3], y.kernel, x.kernel};
    const dnnl_dims_t destination = {in[0], out_channels, height, width};
    /* the padding that is really reached below and on the right */
    const int end_y = (height - 1) * y.stride + y.dilation * (y.kernel - 1) + 1 - (int)in[1] - y.pad;
    const int end_x = (width - 1) * x.stride + x.dilation * (x.kernel - 1) + 1 - (int)in[2] - x.pad;
    const struct conv_window w = {
        .strides = {y.stride, x.stride}, .dilates = {y.dilation - 1, x.dilation - 1},
        .pads = {y.pad, x.pad}, .pads_end = {end_y, end_x},
    };
    dnnl_status_t s = desc_tagged(&d[SOURCE], 4, source, dnnl_nhwc);
    s = s ? s : desc_tagged(&d[WEIGHTS], 4, weights, dnnl_format_tag_any);
    s = s ? s : desc_tagged(&d[BIAS], 1, channels, dnnl_a);
    s = s ? s : desc_tagged(&d[DESTINATION], 4, destination, dnnl_nhwc);
    s = s ? s : desc_tagged(&given, 4, weights, dnnl_acdb);
    struct onednn *o = NULL;
    if (s)
        fail(e, EXIT_NOT_BUILT, "oneDNN refuses this convolution");
    else
        o = create(d, &given, &w, weight, bias, gelu, false, threads, e);
    for (int i = 0; i < 4; i++)
        desc_free(&d[i]);
    desc_free(&given);
    return o;
}

void onednn_run(struct onednn *o, const float *a, float *c, const float *residual)
{
    static const int name[MEMORIES] = {
        DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST,
        DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
    };
    dnnl_exec_arg_t args[MEMORIES];
    int count = 0;
    dnnl_memory_set_data_handle(o->memory[SOURCE], (void *)(uintptr_t)a);
    dnnl_memory_set_data_handle(o->memory[DESTINATION], c);
    if (o->memory[RESIDUAL])
        dnnl_memory_set_data_handle(o->memory[RESIDUAL], (void *)(uintptr_t)residual);
    for (int i = 0; i < MEMORIES; i++)
        if (o->memory[i])
            args[count++] = (dnnl_exec_arg_t){name[i], o->memory[i]};
    dnnl_primitive_execute(o->primitive, o->stream, count, args);
    dnnl_stream_wait(o->stream);
}

bool onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                  const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                  int64_t ldc)
{
    return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb,
                      beta, c, ldc) == dnnl_success;
}

const char *onednn_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

#else

struct onednn *onednn_product(int64_t m, int n, int k, const float *weight, const float *bias,
                              bool gelu, bool residual, int threads, const char *isa,
                              struct error *e)
{
    (void)m, (void)n, (void)k, (void)weight, (void)bias, (void)gelu, (void)residual;
    (void)threads, (void)isa;
    fail(e, EXIT_NOT_BUILT, "this build has no oneDNN");
    return NULL;
}

struct onednn *onednn_convolution(const int64_t in[4], int out_channels, struct window y,
                                  struct window x, const float *weight, const float *bias,
                                  bool gelu, int threads, const char *isa, struct error *e)
{
    (void)in, (void)out_channels, (void)y, (void)x, (void)weight, (void)bias, (void)gelu;
    (void)threads, (void)isa;
    fail(e, EXIT_NOT_BUILT, "this build has no oneDNN");
    return NULL;
}

void onednn_run(struct onednn *o, const float *a, float *c, const float *residual)
{
    (void)o, (void)a, (void)c, (void)residual;
}

void onednn_free(struct onednn *o)
{
    (void)o;
}

bool onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                  const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                  int64_t ldc)
{
    (void)transpose_a, (void)transpose_b, (void)m, (void)n, (void)k, (void)a, (void)lda;
    (void)b, (void)ldb, (void)beta, (void)c, (void)ldc;
    return false;
}

const char *onednn_version(void)
{
    return NULL;
}

#endif
