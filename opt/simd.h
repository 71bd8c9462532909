/* Vectors whose width is the compiler's target: 16 floats for AVX-512, 8 for AVX2, 4
 * otherwise. GNU C vector extensions, so one kernel source serves every ISA, with
 * gcc and with clang; multiplication and addition contract to FMA. */
#ifndef OPT_SIMD_H
#define OPT_SIMD_H

#if defined __AVX2__ || defined __AVX512F__
#include <immintrin.h>
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined __AVX512F__
#define ISA_NAME(x) x##_avx512
enum { LANES = 16 };
#elif defined __AVX2__
#define ISA_NAME(x) x##_avx2
enum { LANES = 8 };
#else
#define ISA_NAME(x) x##_generic
enum { LANES = 4 };
#endif
#define K(x) ISA_NAME(x)

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
/* The same without an alignment promise, for loads and stores anywhere. */
typedef float vf_u __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t vi_u __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* Where ci/cycles has llvm-mca look; nothing in the product. */
#ifdef MCA
#define MCA_BEGIN(name) __asm__ volatile("# LLVM-MCA-BEGIN " name ::: "memory")
#define MCA_END __asm__ volatile("# LLVM-MCA-END" ::: "memory")
#else
#define MCA_BEGIN(name) (void)0
#define MCA_END (void)0
#endif

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vf vload(const float *p) { return (vf)*(const vf_u *)p; }
INLINE void vstore(float *p, vf v) { *(vf_u *)p = (vf_u)v; }
INLINE void vstore_int(int32_t *p, vi v) { *(vi_u *)p = (vi_u)v; }
INLINE vf vset(float x) { return x - (vf){0}; }

/* v as it is: what it came from is not contracted into what uses it. */
INLINE vf vrounded(vf v)
{
#if defined __AVX512F__
    __asm__("" : "+v"(v));
#elif defined __x86_64__
    __asm__("" : "+x"(v));
#endif
    return v;
}

/* The first n lanes, n < LANES; the others are zero, and not stored. */
#if defined __AVX512F__
INLINE vf vload_part(const float *p, int n)
{
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

INLINE void vstore_part(float *p, vf v, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined __AVX2__
INLINE __m256i first_lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vf vload_part(const float *p, int n)
{
    return (vf)_mm256_maskload_ps(p, first_lanes(n));
}

INLINE void vstore_part(float *p, vf v, int n)
{
    _mm256_maskstore_ps(p, first_lanes(n), (__m256)v);
}
#else
INLINE vf vload_part(const float *p, int n)
{
    vf v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

INLINE void vstore_part(float *p, vf v, int n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}
#endif

/* The first n lanes or, from n = LANES on, all; none for n <= 0. */
INLINE vf vload_some(const float *p, int n)
{
    return n >= LANES ? vload(p) : n > 0 ? vload_part(p, n) : (vf){0};
}

/* n pairs, n <= LANES: the first of each, and the second. */
INLINE void vload_pairs(const float *p, int n, vf *first, vf *second)
{
    const vf a = vload_some(p, 2 * n), b = vload_some(p + LANES, 2 * n - LANES);
#if defined __AVX512F__
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *first = (vf)_mm512_permutex2var_ps((__m512)a, even, (__m512)b);
    *second = (vf)_mm512_permutex2var_ps((__m512)a, _mm512_add_epi32(even, _mm512_set1_epi32(1)),
                                         (__m512)b);
#elif defined __AVX2__
    const __m256d x = (__m256d)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
    const __m256d y = (__m256d)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
    *first = (vf)_mm256_permute4x64_pd(x, 0xd8);
    *second = (vf)_mm256_permute4x64_pd(y, 0xd8);
#else
    for (int i = 0; i < LANES; i++) {
        (*first)[i] = 2 * i < LANES ? a[2 * i] : b[2 * i - LANES];
        (*second)[i] = 2 * i < LANES ? a[2 * i + 1] : b[2 * i + 1 - LANES];
    }
#endif
}

INLINE vf vselect(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

/* a > b ? a : b, so NaN gives b. One instruction, which compilers do not find. */
#if defined __AVX512F__
INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined __AVX2__
INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
INLINE vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return vselect(a < b, a, b); }
#endif

INLINE vf vsqrt(vf v)
{
#if defined __AVX512F__
    return (vf)_mm512_sqrt_ps((__m512)v);
#elif defined __AVX2__
    return (vf)_mm256_sqrt_ps((__m256)v);
#else
    for (int i = 0; i < LANES; i++)
        v[i] = sqrtf(v[i]);
    return v;
#endif
}

/* Across the vector, by halves. */
INLINE float vsum(vf v)
{
#if defined __AVX512F__
    return _mm512_reduce_add_ps((__m512)v);
#else
    float part[LANES];
    vstore(part, v);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
    return part[0];
#endif
}

/* Four sums at once. */
INLINE void vsum4(vf a, vf b, vf c, vf d, float sum[4])
{
#if defined __AVX2__ || defined __AVX512F__
#if defined __AVX512F__
#define HALVES(v) _mm256_add_ps(_mm512_castps512_ps256((__m512)(v)), \
                                _mm512_extractf32x8_ps((__m512)(v), 1))
#else
#define HALVES(v) ((__m256)(v))
#endif
    const __m256 ab = _mm256_hadd_ps(HALVES(a), HALVES(b)), cd = _mm256_hadd_ps(HALVES(c), HALVES(d));
    const __m256 all = _mm256_hadd_ps(ab, cd);
    _mm_storeu_ps(sum, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
#undef HALVES
#else
    sum[0] = vsum(a);
    sum[1] = vsum(b);
    sum[2] = vsum(c);
    sum[3] = vsum(d);
#endif
}

INLINE float vlargest(vf v)
{
#if defined __AVX512F__
    return _mm512_reduce_max_ps((__m512)v);
#else
    float part[LANES];
    vstore(part, v);
    for (int i = 1; i < LANES; i++)
        part[0] = part[i] > part[0] ? part[i] : part[0];
    return part[0];
#endif
}

/* exp(x) = 2^n e^r, |r| <= ln 2 / 2; e^r by its Taylor sum to r^6 (1e-7 relative). */
INLINE vf vexp(vf x)
{
    x = vmin(vmax(x, vset(-87.0f)), vset(88.0f));
    vf n = x * 1.44269504f + 12582912.0f;               /* rounds to an integer */
    vi power = (vi)n << 23;
    n = n - 12582912.0f;
    vf r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vf y = vset(1.0f / 720) * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    return (vf)((vi)y + power);
}

/* erf(x / sqrt 2) as x P(x^2) / Q(x^2), a least-maximum fit of 2.4e-8 on |x| <= 5.65,
 * beyond which it is +-1. */
INLINE vf verf(vf x)
{
    vf z = vmin(vmax(x, vset(-5.65f)), vset(5.65f)), u = z * z;
    vf p = vset(4.39845767e-08f) * u + 1.25760829e-05f;
    vf q = vset(1.17058785e-06f) * u + 7.40029965e-05f;
    p = p * u + 3.425712e-04f;
    q = q * u + 1.89898313e-03f;
    p = p * u + 9.38308833e-03f;
    q = q * u + 2.8817641e-02f;
    p = p * u + 6.83578886e-02f;
    q = q * u + 2.52340192e-01f;
    p = p * u + 7.97884542e-01f;
    q = q * u + 1.0f;
    return vmin(vmax(z * p / q, vset(-1.0f)), vset(1.0f));
}

/* x/2 (1 + erf(x / sqrt 2)) */
INLINE vf vgelu(vf x)
{
    const vf h = x * 0.5f;
    return h * verf(x) + h;
}

/* The normal distribution function. */
INLINE vf vcdf(vf x)
{
    return verf(x) * 0.5f + 0.5f;
}

#endif
