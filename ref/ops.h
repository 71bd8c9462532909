/* The reference ops: pure functions over raw pointers, nothing allocated.
 * Included once per precision (see real.h and ref.h), so no include guard.
 *
 * Forward functions write their output. Backward functions take the gradient of
 * a scalar loss with respect to the output and ADD the gradients with respect
 * to inputs and parameters; a gradient pointer that is NULL is not computed.
 * Arrays are dense, last dimension fastest. */

/* DCNv3 operator (InternImage, arXiv 2211.05778, eq. 2), see dcnv3.c.
 *   input   [N, H, W, G*C]      offset [N, Ho, Wo, G, P, 2]  (x, y), pixels
 *   mask    [N, Ho, Wo, G, P]   output [N, Ho, Wo, G*C] */
void REF(dcnv3_forward)(const struct dcnv3_shape *s, const real *input, const real *offset,
                        const real *mask, real *output);
void REF(dcnv3_backward)(const struct dcnv3_shape *s, const real *input, const real *offset,
                         const real *mask, const real *d_output, real *d_input, real *d_offset,
                         real *d_mask);

/* DCNv2 (arXiv 1811.11168, eq. 1), torchvision's conventions; mask NULL gives
 * DCNv1 (arXiv 1703.06211). K = Kh*Kw.
 *   input  [N, Ci, H, W]         offset [N, OG*K*2, Ho, Wo]  (y, x) pairs
 *   mask   [N, OG*K, Ho, Wo]     weight [Co, Ci/groups, Kh, Kw]
 *   bias   [Co] or NULL          output [N, Co, Ho, Wo] */
void REF(dcnv2_forward)(const struct dcnv2_shape *s, const real *input, const real *offset,
                        const real *mask, const real *weight, const real *bias, real *output);
void REF(dcnv2_backward)(const struct dcnv2_shape *s, const real *input, const real *offset,
                         const real *mask, const real *weight, const real *d_output,
                         real *d_input, real *d_offset, real *d_mask, real *d_weight,
                         real *d_bias);

/* 2-D convolution (cross-correlation, as torch.nn.Conv2d). NHWC input and
 * output, weight [Co, Ci/groups, Kh, Kw], bias [Co] or NULL. */
void REF(conv2d_forward)(const struct conv2d_shape *s, const real *input, const real *weight,
                         const real *bias, real *output);
void REF(conv2d_backward)(const struct conv2d_shape *s, const real *input, const real *weight,
                          const real *d_output, real *d_input, real *d_weight, real *d_bias);

/* output[r, o] = bias[o] + sum_i input[r, i] weight[o, i]; as torch.nn.Linear. */
void REF(linear_forward)(int64_t rows, int in, int out, const real *input, const real *weight,
                         const real *bias, real *output);
void REF(linear_backward)(int64_t rows, int in, int out, const real *input, const real *weight,
                          const real *d_output, real *d_input, real *d_weight, real *d_bias);

/* Layer normalisation over the last dimension (arXiv 1607.06450):
 * (x - mean) / sqrt(var + eps) * weight + bias, var biased (divided by channels). */
void REF(layer_norm_forward)(int64_t rows, int channels, double eps, const real *input,
                             const real *weight, const real *bias, real *output);
void REF(layer_norm_backward)(int64_t rows, int channels, double eps, const real *input,
                              const real *weight, const real *d_output, real *d_input,
                              real *d_weight, real *d_bias);

/* Batch normalisation in inference: the stored mean and variance [channels]. */
void REF(batch_norm_forward)(int64_t rows, int channels, double eps, const real *input,
                             const real *weight, const real *bias, const real *mean,
                             const real *variance, real *output);
void REF(batch_norm_backward)(int64_t rows, int channels, double eps, const real *input,
                              const real *weight, const real *mean, const real *variance,
                              const real *d_output, real *d_input, real *d_weight,
                              real *d_bias);

/* The same in training: mean and (biased) variance of the batch itself. */
void REF(batch_norm_train_forward)(int64_t rows, int channels, double eps, const real *input,
                                   const real *weight, const real *bias, real *output);
void REF(batch_norm_train_backward)(int64_t rows, int channels, double eps, const real *input,
                                    const real *weight, const real *d_output, real *d_input,
                                    real *d_weight, real *d_bias);
/* Moves the stored statistics towards the batch's by `momentum`; the variance that is
 * stored is the unbiased one (torch.nn.BatchNorm2d). */
void REF(batch_norm_update)(int64_t rows, int channels, double momentum, const real *input,
                            real *mean, real *variance);

/* Elementwise activations over `count` values. GELU is the exact erf form
 * (arXiv 1606.08415): x/2 (1 + erf(x / sqrt 2)). */
void REF(gelu_forward)(int64_t count, const real *input, real *output);
void REF(gelu_backward)(int64_t count, const real *input, const real *d_output, real *d_input);
void REF(relu_forward)(int64_t count, const real *input, real *output);
void REF(relu_backward)(int64_t count, const real *input, const real *d_output, real *d_input);
void REF(silu_forward)(int64_t count, const real *input, real *output);
void REF(silu_backward)(int64_t count, const real *input, const real *d_output, real *d_input);
void REF(sigmoid_forward)(int64_t count, const real *input, real *output);
void REF(sigmoid_backward)(int64_t count, const real *output, const real *d_output,
                           real *d_input);

/* Softmax over each run of `points` values; DCNv3's modulation. */
void REF(softmax_forward)(int64_t rows, int points, const real *input, real *output);
void REF(softmax_backward)(int64_t rows, int points, const real *output, const real *d_output,
                           real *d_input);

/* output[r, c] = input[r, c] * gamma[c] (CaiT's layer scale, arXiv 2103.17239). */
void REF(layer_scale_forward)(int64_t rows, int channels, const real *input, const real *gamma,
                              real *output);
void REF(layer_scale_backward)(int64_t rows, int channels, const real *input, const real *gamma,
                               const real *d_output, real *d_input, real *d_gamma);

/* Stochastic depth (arXiv 1603.09382): output[n] = input[n] * scale[n], where the scale of
 * a sample is 0 (its branch is dropped) or 1 / (1 - rate). */
void REF(drop_path_forward)(int64_t samples, int64_t size, const real *input, const real *scale,
                            real *output);
void REF(drop_path_backward)(int64_t samples, int64_t size, const real *input, const real *scale,
                             const real *d_output, real *d_input, real *d_scale);

/* output = a + b. */
void REF(add_forward)(int64_t count, const real *a, const real *b, real *output);
void REF(add_backward)(int64_t count, const real *d_output, real *d_a, real *d_b);

/* Mean over H and W: [N, pixels, C] to [N, C]. */
void REF(global_avg_pool_forward)(int batch, int64_t pixels, int channels, const real *input,
                                  real *output);
void REF(global_avg_pool_backward)(int batch, int64_t pixels, int channels,
                                   const real *d_output, real *d_input);

/* [N, H, W, C r r] to [N, rH, rW, C]: output[rh+i, rw+j, c] = input[h, w, c r r + i r + j];
 * torch.nn.PixelShuffle in NHWC. */
void REF(pixel_shuffle_forward)(int batch, int height, int width, int channels, int factor,
                                const real *input, real *output);
void REF(pixel_shuffle_backward)(int batch, int height, int width, int channels, int factor,
                                 const real *d_output, real *d_input);

/* One query attends over T tokens, per head of D/heads channels:
 * output[n] = softmax(query key^T / sqrt(D/heads)) value.
 *   query [N, D], key and value [N, T, D], output [N, D] */
void REF(attention_pool_forward)(int batch, int tokens, int channels, int heads,
                                 const real *query, const real *key, const real *value,
                                 real *output);
void REF(attention_pool_backward)(int batch, int tokens, int channels, int heads,
                                  const real *query, const real *key, const real *value,
                                  const real *d_output, real *d_query, real *d_key,
                                  real *d_value);

/* InternImage-H/G: output = core (1 - scale) + value scale, scale [rows, groups]
 * shared by the channels of a group. */
void REF(center_feature_scale_forward)(int64_t rows, int groups, int group_channels,
                                       const real *core, const real *value, const real *scale,
                                       real *output);
void REF(center_feature_scale_backward)(int64_t rows, int groups, int group_channels,
                                        const real *core, const real *value, const real *scale,
                                        const real *d_output, real *d_core, real *d_value,
                                        real *d_scale);

/* Every element `value`. */
void REF(constant_forward)(int64_t count, real value, real *output);

/* [N, C, P] to [N, P, C] (P = H*W); to_nchw is the same function with C and P
 * exchanged, and the backward of each is the other. */
void REF(transpose)(int batch, int64_t rows, int64_t columns, const real *input, real *output);
