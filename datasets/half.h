/* float16 (IEEE binary16: 5 exponent, 10 fraction bits) and bfloat16 (8 and 7) as bit
 * patterns. To float is exact. From double rounds once, to nearest, ties to even, as
 * hardware does; a float argument loses nothing on the way. Beyond the largest finite
 * value by half a unit or more: infinity. NaN stays NaN. */
#ifndef DATASETS_HALF_H
#define DATASETS_HALF_H

#include <stdint.h>
#include <string.h>

/* Sign, exponent and `fraction` bits, 16 in all. */
static inline uint16_t round_to_16_bits(double x, int fraction)
{
    const int exponent_bits = 15 - fraction, bias = (1 << (exponent_bits - 1)) - 1;
    const uint32_t infinity = ((1u << exponent_bits) - 1) << fraction;
    uint64_t bits, significand;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = (uint32_t)(bits >> 63) << 15;
    int exponent = (int)(bits >> 52 & 0x7FF) - 1023;
    significand = bits & (((uint64_t)1 << 52) - 1);
    if (exponent == 1024)
        return (uint16_t)(sign | infinity | (significand ? 1u << (fraction - 1) : 0)
                          | (uint32_t)(significand >> (52 - fraction)));
    int biased = exponent + bias;
    int shift = 52 - fraction + (biased < 1 ? 1 - biased : 0);      /* below 1: subnormal */
    if (exponent == -1023 || shift > 54)
        return (uint16_t)sign;
    significand |= (uint64_t)1 << 52;
    uint64_t half = (uint64_t)1 << (shift - 1), kept = significand >> shift;
    uint64_t dropped = significand & (2 * half - 1);
    kept += dropped > half || (dropped == half && (kept & 1));
    /* The leading one of `kept`, or a carry out of it, raises the exponent by itself. */
    uint32_t magnitude = (uint32_t)kept + (biased < 1 ? 0 : (uint32_t)(biased - 1) << fraction);
    return (uint16_t)(sign | (magnitude > infinity ? infinity : magnitude));
}

static inline uint16_t half_from_double(double x)
{
    return round_to_16_bits(x, 10);
}

static inline uint16_t bfloat16_from_double(double x)
{
    return round_to_16_bits(x, 7);
}

static inline float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, fraction = h & 1023, bits;
    float x;
    if (exponent == 0) {
        x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float bfloat16_to_float(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
