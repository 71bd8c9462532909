/* Matrix product against packed weights. B is cut into panels of PANEL columns, each
 * stored k-major, so the inner loop reads it in order; A is read by broadcasts from ROWS
 * rows at once. The accumulators of a ROWS x PANEL tile stay in registers for the whole
 * of k. Blocks of A rows small enough for L2 pass over all panels in turn. */
#include "../simd.h"

#include "../kernels.h"

/* Registers: 2 columns of vectors, as many rows as leave room for both B vectors and a
 * broadcast. AVX-512 has 32 registers, the others 16. */
enum { ROWS = LANES == 16 ? 14 : 6, PANEL = 2 * LANES, BLOCK_BYTES = 512 << 10 };

size_t K(gemm_packed_size)(int n, int k)
{
    return (size_t)round_up(n, PANEL) * (size_t)k;
}

void K(gemm_pack)(int n, int k, const float *weight, float *packed)
{
    for (int first = 0; first < n; first += PANEL)
        for (int i = 0; i < k; i++)
            for (int c = 0; c < PANEL; c++)
                *packed++ = first + c < n ? weight[(size_t)(first + c) * k + i] : 0;
}

/* What happens to a finished row of a tile: `columns` of PANEL are wanted. */
INLINE void finish_row(const struct gemm *g, vf c0, vf c1, float *c, const float *residual,
                       int column, int columns)
{
    vf v[2] = {c0, c1};
    for (int h = 0; h < 2; h++) {
        int n = columns - h * LANES;
        if (n >= LANES) {
            if (g->bias)
                v[h] += vload(g->bias + column + h * LANES);
            if (g->gelu)
                v[h] = vgelu(v[h]);
            if (residual)
                v[h] += vload(residual + column + h * LANES);
            vstore(c + column + h * LANES, v[h]);
        } else if (n > 0) {
            if (g->bias)
                v[h] += vload_part(g->bias + column + h * LANES, n);
            if (g->gelu)
                v[h] = vgelu(v[h]);
            if (residual)
                v[h] += vload_part(residual + column + h * LANES, n);
            vstore_part(c + column + h * LANES, v[h], n);
        }
    }
}

/* `rows` is a constant in every call, so the loops over it unroll into registers. */
INLINE void tile(const int rows, const struct gemm *g, int64_t m, const float *a, int lda,
                 const float *b, float *c, int ldc, const float *residual, int ldr, int column,
                 const float *ahead)
{
    const int step = ahead == b ? 0 : PANEL;
    vf sum[ROWS][2];
    const int columns = g->n - column < PANEL ? g->n - column : PANEL;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = (vf){0};
    for (int i = 0; i < g->k; i++, b += PANEL, ahead += step) {
        MCA_BEGIN("gemm, one step of k for a full tile");
        const vf b0 = vload(b), b1 = vload(b + LANES);
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + 16);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const float x = a[(size_t)r * lda + i];
            sum[r][0] += b0 * x;
            sum[r][1] += b1 * x;
        }
        MCA_END;
    }
    for (int r = 0; r < rows; r++) {
        const int64_t to = g->frame_width ? frame_row(m + r, g->frame_height, g->frame_width)
                                          : m + r;
        finish_row(g, sum[r][0], sum[r][1], c + to * ldc,
                   residual ? residual + (m + r) * ldr : NULL, column, columns);
    }
}

#define TILE(rows) \
    case rows: tile(rows, g, m, a, lda, b, c, ldc, residual, ldr, column, ahead); break

static void any_tile(int rows, const struct gemm *g, int64_t m, const float *a, int lda,
                     const float *b, float *c, int ldc, const float *residual, int ldr,
                     int column, const float *ahead)
{
    switch (rows) {
        TILE(1); TILE(2); TILE(3); TILE(4); TILE(5); TILE(6);
#if defined __AVX512F__
        TILE(7); TILE(8); TILE(9); TILE(10); TILE(11); TILE(12); TILE(13); TILE(14);
#endif
    }
}

void K(gemm)(const struct gemm *g, int64_t m0, int64_t m1, const float *a, int lda, float *c,
             int ldc, const float *residual, int ldr, int first, int last)
{
    int64_t block = (int64_t)(BLOCK_BYTES / sizeof(float)) / g->k / ROWS * ROWS;
    block = block < ROWS ? ROWS : block;
    for (; m0 < m1; m0 += block) {
        const int64_t rows = m1 - m0 < block ? m1 - m0 : block, tiles = (rows + ROWS - 1) / ROWS;
        for (int p = first; p < last; p++) {
            const float *b = g->packed + (size_t)p * PANEL * g->k;
            for (int64_t t = 0; t < tiles; t++) {   /* 49 rows are 13 + 12 + 12 + 12 */
                const int64_t r0 = m0 + rows * t / tiles, r1 = m0 + rows * (t + 1) / tiles;
                /* the panel's last tile fetches the next panel, which may be in memory */
                const float *ahead = t == tiles - 1 && p + 1 < last ? b + (size_t)PANEL * g->k : b;
                any_tile((int)(r1 - r0), g, r0, a + r0 * lda, lda, b, c, ldc, residual, ldr,
                         p * PANEL, ahead);
            }
        }
    }
}

/* As many FMAs as can be in flight, nothing else. */
double K(peak)(int64_t rounds)
{
    enum { CHAINS = 12 };
    vf sum[CHAINS], x = vset(1.000001f), y = vset(1e-9f);
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++)
        sum[i] = vset((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            sum[i] = sum[i] * x + y;
            __asm__ volatile("" : "+x"(sum[i]));    /* keep it, in a register */
        }
    }
    vf all = {0};
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++)
        all += sum[i];
    return vsum(all) == 0 ? 0 : 2.0 * LANES * CHAINS * (double)rounds;
}
