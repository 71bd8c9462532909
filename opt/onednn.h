/* oneDNN behind one file, 2.6 and 3.x alike: products and convolutions on packed weights
 * with their epilogue as post-ops, and the products that gradients need. Built without
 * oneDNN, every constructor fails with EXIT_NOT_BUILT. */
#ifndef OPT_ONEDNN_H
#define OPT_ONEDNN_H

#include "ref/error.h"
#include "ref/shapes.h"

#include <stdbool.h>
#include <stdint.h>

struct onednn;                          /* a primitive with its weights */

/* C = epilogue(A B^T): A [m, k], B PyTorch's [n, k], C and residual [m, n], all dense;
 * epilogue: + bias (may be NULL), then GELU if asked, then + residual. Runs on `threads`
 * OpenMP threads. `isa`: no instructions beyond it; the first call of the process
 * decides. NULL after filling *e. */
struct onednn *onednn_product(int64_t m, int n, int k, const float *weight, const float *bias,
                              bool gelu, bool residual, int threads, const char *isa,
                              struct error *e);
/* The same for an NHWC convolution of an input `in` [N, H, W, C]; weight [O, Kh, Kw, I]. */
struct onednn *onednn_convolution(const int64_t in[4], int out_channels, struct window y,
                                  struct window x, const float *weight, const float *bias,
                                  bool gelu, int threads, const char *isa, struct error *e);
void onednn_run(struct onednn *o, const float *a, float *c, const float *residual);
void onednn_free(struct onednn *o);

/* C [m, n] = op(A) op(B) + beta C, row-major as BLAS's sgemm; false when not built. */
bool onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                  const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                  int64_t ldc);

/* "2.6.3", of the library that runs; NULL when not built. */
const char *onednn_version(void);

#endif
