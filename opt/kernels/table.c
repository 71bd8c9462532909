/* The table of this ISA. */
#include "../simd.h"

#include "../kernels.h"

size_t K(gemm_packed_size)(int n, int k);
void K(gemm_pack)(int n, int k, const float *weight, float *packed);
void K(gemm)(const struct gemm *g, int64_t m0, int64_t m1, const float *a, int lda, float *c,
             int ldc, const float *residual, int ldr, int first, int last);
void K(layer_norm)(int rows, int channels, float eps, const float *x, int ldx,
                   const float *weight, const float *bias, bool gelu, const float *residual,
                   int ldr, float *y, int ldy);
void K(dwconv)(const struct dwconv *d, const float *x, int y0, int y1, float *y);
void K(dcnv3)(const struct dcnv3_plan *p, const float *value, const float *branch, int ldb,
              int y0, int y1, float *scratch, float *out);
void K(dcnv2)(const struct dcnv2_plan *p, const float *value, const float *offset,
              const float *mask, int first, int rows, float *a, int lda);
void K(center_scale)(int rows, int groups, int group_channels, const float *core,
                     const float *value, const float *logits, int ldl, float *out);
void K(gelu)(int64_t count, const float *x, float *y);
void K(sigmoid)(int64_t count, const float *x, float *y);
void K(add)(int64_t count, const float *a, const float *b, float *y);
void K(transpose)(int rows, int columns, const float *x, int64_t ldx, float *y, int64_t ldy);
void K(mean_rows)(int rows, int channels, const float *x, float *y);
void K(softmax)(int64_t rows, int points, const float *x, float *y);
void K(add_to)(int64_t count, const float *x, float *y);
void K(copy_pieces)(int count, int n, const float *x, int64_t ldx, float *y, int64_t ldy);
void K(add_pieces)(int count, int n, const float *x, int64_t ldx, float *y, int64_t ldy);
void K(gelu_backward)(int64_t count, const float *x, const float *d_y, float *d_x);
void K(softmax_backward)(int64_t rows, int points, const float *y, const float *d_y, float *d_x);
void K(layer_norm_backward)(int rows, int channels, float eps, const float *x,
                            const float *weight, const float *d_y, float *d_x, float *d_weight,
                            float *d_bias);
void K(column_sums)(int64_t rows, int channels, const float *x, float *sums);
void K(scale_rows)(int64_t rows, int channels, const float *x, const float *gamma, float *y);
void K(scale_rows_backward)(int64_t rows, int channels, const float *x, const float *gamma,
                            const float *d_y, float *d_x, float *d_gamma);
void K(dwconv_backward)(const struct dwconv *d, const float *x, const float *d_y, int y0, int y1,
                        float *d_weight, float *d_bias);
void K(dcnv3_backward)(const struct dcnv3_shape *s, int g0, int g1, const float *frame,
                       const float *offset, const float *mask, const float *d_out, float *d_frame,
                       float *d_offset, float *d_mask);
void K(dcnv2_backward)(const struct dcnv2_plan *s, const float *frame, const float *offset,
                       const float *mask, int first, int rows, const float *d_a, int lda,
                       float *d_frame, float *d_offset, float *d_mask);
void K(add_scaled)(int64_t count, float scale, const float *x, float *y);
void K(adamw)(int64_t count, const struct adamw_factors *f, const float *g, float *m, float *v,
              float *p);
void K(blend)(int64_t count, float keep, const float *x, float *y);
double K(peak)(int64_t rounds);

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const struct kernels K(kernels) = {
    .isa = &TEXT(K(isa))[sizeof "isa_" - 1], .lanes = LANES, .panel = 2 * LANES,
    .gemm_packed_size = K(gemm_packed_size), .gemm_pack = K(gemm_pack), .gemm = K(gemm),
    .layer_norm = K(layer_norm), .dwconv = K(dwconv), .dcnv3 = K(dcnv3), .dcnv2 = K(dcnv2),
    .center_scale = K(center_scale), .gelu = K(gelu), .sigmoid = K(sigmoid), .add = K(add),
    .mean_rows = K(mean_rows), .transpose = K(transpose),
    .softmax = K(softmax), .add_to = K(add_to), .copy_pieces = K(copy_pieces), .add_pieces = K(add_pieces),
    .gelu_backward = K(gelu_backward), .softmax_backward = K(softmax_backward),
    .layer_norm_backward = K(layer_norm_backward), .column_sums = K(column_sums),
    .scale_rows = K(scale_rows), .scale_rows_backward = K(scale_rows_backward),
    .dwconv_backward = K(dwconv_backward), .dcnv3_backward = K(dcnv3_backward),
    .dcnv2_backward = K(dcnv2_backward), .add_scaled = K(add_scaled), .adamw = K(adamw),
    .blend = K(blend), .peak = K(peak),
};
